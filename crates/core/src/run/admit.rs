//! Admit: the run has its turn among those of its concurrency key.

use super::{Run, RunState, WaitReason};
use crate::error::Result;
use crate::time::Timestamp;
use crate::transition::Transition;

impl Run {
    /// Puts a run that waits for its turn into the queue, at its earliest start.
    pub fn admit(&self, now: Timestamp) -> Result<Transition> {
        match &self.state {
            RunState::Waiting { reason: WaitReason::Turn } => {
                Ok(self.to_queue(now.max(self.start_at), now))
            }
            RunState::Queued { .. }
            | RunState::Running { .. }
            | RunState::Waiting { .. }
            | RunState::Succeeded { .. }
            | RunState::Failed { .. }
            | RunState::Cancelled { .. } => Err(self.refuse("waits for no turn")),
        }
    }
}
