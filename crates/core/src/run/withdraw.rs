//! Withdraw: an offer did not reach anybody.

use super::Run;
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
        Ok(match self.cancel_asked() {
            None => self.to_queue(now, now),
            Some((by, _)) => self.cancelled(by.clone(), now),
        })
    }
}
