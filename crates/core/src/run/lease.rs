//! Lease: a worker gets the right to advance a run that is queued, or whose sleep is over.

use std::time::Duration;

use super::{Run, RunState};
use crate::error::{Error, Result};
use crate::id::{LeaseId, WorkerId};
use crate::lease::Lease;
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};

impl Run {
    /// Offers the run to `worker` under the new lease `id`. The first sign of life is due within
    /// `offer_ttl`; until then the run has lost no attempt.
    pub fn lease(
        &self,
        id: LeaseId,
        worker: WorkerId,
        now: Timestamp,
        offer_ttl: Duration,
    ) -> Result<Transition> {
        if self.ready_at().is_none_or(|ready_at| ready_at > now) {
            return Err(Error::wrong_state(format!("{} is not ready to be leased", self.id)));
        }
        let epoch = self.epoch + 1;
        let lease = Lease { id, epoch, worker, until: now + offer_ttl, started: false };
        let after = Self { state: RunState::Running { lease }, epoch, ..self.clone() };
        Ok(Transition::of(self, after, vec![Effect::Dequeue, Effect::WakeWatchers], now))
    }
}
