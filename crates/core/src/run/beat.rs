//! Beat: the owner is alive.

use std::time::Duration;

use super::{Run, RunState};
use crate::error::Result;
use crate::id::LeaseId;
use crate::time::Timestamp;
use crate::transition::Transition;

impl Run {
    /// Extends the lease `id` to `ttl` from `now`. A lease whose time ran out but whom nobody has
    /// replaced is extended as well: taking over is what revokes.
    pub fn beat(&self, id: LeaseId, now: Timestamp, ttl: Duration) -> Result<Transition> {
        let after = self.alive(id, now, ttl)?;
        Ok(Transition::of(self, after, Vec::new(), now).advancing())
    }

    /// The run after a sign of life of its owner: the first one counts as an attempt.
    pub(super) fn alive(&self, id: LeaseId, now: Timestamp, ttl: Duration) -> Result<Self> {
        let lease = self.lease_of(id)?;
        let mut after = self.clone();
        if !lease.started {
            after.attempts += 1;
            after.offers = 0;
        }
        after.state = RunState::Running { lease: lease.extended(now, ttl) };
        Ok(after)
    }
}
