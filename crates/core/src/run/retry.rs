//! Retry: somebody wants the run to be tried again now.

use super::{Run, RunState, WaitReason};
use crate::error::{Error, Result};
use crate::time::Timestamp;
use crate::transition::Transition;

impl Run {
    /// Puts a blocked run back into the queue, for code that fits its journal again, and ends the
    /// pause of one that is queued for later. `None` when it is ready already.
    pub fn retry(&self, now: Timestamp) -> Result<Option<Transition>> {
        match &self.state {
            RunState::Waiting { reason: WaitReason::Blocked(_) } => {
                Ok(Some(self.to_queue(now, now)))
            }
            RunState::Queued { ready_at } if *ready_at > now => Ok(Some(self.to_queue(now, now))),
            RunState::Queued { .. } => Ok(None),
            RunState::Running { .. }
            | RunState::Waiting { reason: WaitReason::Inbox { .. } }
            | RunState::Succeeded { .. }
            | RunState::Failed { .. }
            | RunState::Cancelled { .. } => {
                let (id, state) = (self.id, self.state.name());
                Err(Error::wrong_state(format!(
                    "{id} is {state}: only a blocked run, or one that waits for its next attempt, \
                     can be tried again"
                )))
            }
        }
    }
}
