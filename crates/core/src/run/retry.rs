//! Retry: somebody wants the run to be tried again now.

use super::{Run, RunState, WaitReason};
use crate::error::Result;
use crate::steering::{Steer, Steering};
use crate::time::Timestamp;
use crate::transition::Transition;

impl Run {
    /// Puts a blocked run back into the queue, for code that fits its journal again, and ends the
    /// pause of one that is queued for later. `None` when it is ready already.
    pub fn retry(&self, by: Steering, now: Timestamp) -> Result<Option<Transition>> {
        let by = by.checked()?;
        match &self.state {
            RunState::Queued { ready_at } if *ready_at <= now => Ok(None),
            RunState::Queued { .. } | RunState::Waiting { reason: WaitReason::Blocked(_) } => {
                let mut retried = self.to_queue(now, now);
                retried.run.steer(Steer::Retry, by, now, &mut retried.effects);
                Ok(Some(retried))
            }
            RunState::Running { .. }
            | RunState::Waiting { .. }
            | RunState::Succeeded { .. }
            | RunState::Failed { .. }
            | RunState::Cancelled { .. } => Err(self.refuse(
                "only a blocked run, or one that waits for its next attempt, can be tried again",
            )),
        }
    }
}
