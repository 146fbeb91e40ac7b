//! Pause: somebody wants the run to rest.

use super::{Request, Run, RunState, WaitReason};
use crate::error::Result;
use crate::steering::{Steer, Steering};
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};

impl Run {
    /// Pauses the run: at once if nobody is working on it, else its owner is asked to give it back
    /// at its next step. What arrives meanwhile waits with it. `None` when there is nothing left to
    /// do: it is paused, or its owner was asked before.
    pub fn pause(&self, by: Steering, now: Timestamp) -> Result<Option<Transition>> {
        let by = by.checked()?;
        match &self.state {
            RunState::Queued { .. } | RunState::Waiting { reason: WaitReason::Inbox { .. } } => {
                let paused = RunState::Waiting { reason: WaitReason::Paused(by.clone()) };
                let mut transition = self.to_rest(paused, now);
                transition.run.steer(Steer::Pause, by, now, &mut transition.effects);
                Ok(Some(transition))
            }
            RunState::Running { lease } if self.request.is_none() => {
                let after = Self { request: Some(Request::Pause { by }), ..self.clone() };
                let effects = vec![Effect::WakeOwner(lease.worker), Effect::WakeWatchers];
                Ok(Some(Transition::of(self, after, effects, now)))
            }
            RunState::Running { .. } | RunState::Waiting { reason: WaitReason::Paused(_) } => {
                Ok(None)
            }
            RunState::Waiting { reason: WaitReason::Blocked(_) | WaitReason::Turn }
            | RunState::Succeeded { .. }
            | RunState::Failed { .. }
            | RunState::Cancelled { .. } => Err(self.refuse("cannot be paused")),
        }
    }
}
