//! Publish: what a step says while it is executed goes to whoever follows its run, and nowhere else.

use tenure_core::{LeaseId, Name, Result, RunId, RunState, StreamEvent};

use super::Service;
use crate::carrier::Place;

impl Service {
    /// Passes an event on. One of a worker that is known to have lost the run is dropped; that it was
    /// passed on says nothing about the lease.
    pub async fn publish(
        &self,
        tenant: &Name,
        run: RunId,
        lease: LeaseId,
        event: StreamEvent,
    ) -> Result<()> {
        let place = (self.tenant_id(tenant).await?, run);
        if !self.is_stale(place, lease, &event) {
            let elsewhere = self.wake.is_watched_elsewhere(place);
            self.streams.publish(place, event, elsewhere);
        }
        Ok(())
    }

    /// By what this replica remembers of the run, which may be old: an epoch that it has not seen yet
    /// is believed.
    fn is_stale(&self, place: Place, lease: LeaseId, event: &StreamEvent) -> bool {
        let Some(known) = self.memory.get(place) else { return false };
        let held = match &known.state {
            RunState::Running { .. } => known.lease_held().is_some_and(|held| held.id == lease),
            _ => false,
        };
        known.epoch > event.epoch || (known.epoch == event.epoch && !held)
    }
}
