//! Withdraw: an offer did not reach anybody.

use super::{Run, RunState};
use crate::error::{Error, Result};
use crate::id::LeaseId;
use crate::time::Timestamp;
use crate::transition::Transition;

impl Run {
    /// Takes back the offer `id` that its poller did not stay to receive, at no cost to the run. If
    /// a cancel was asked for meanwhile there is nobody left to answer it, so it happens.
    pub fn withdraw(&self, id: LeaseId, now: Timestamp) -> Result<Transition> {
        if self.lease_of(id)?.started {
            return Err(Error::wrong_state(format!("{} has been taken up by its worker", self.id)));
        }
        Ok(match &self.cancel {
            None => self.to_queue(now, now),
            Some(cancel) => {
                let reason = cancel.reason.clone();
                self.to_rest(RunState::Cancelled { reason, at: now }, now)
            }
        })
    }
}
