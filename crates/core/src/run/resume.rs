//! Resume: a paused run may go on.

use super::{Request, Run, RunState, WaitReason};
use crate::error::Result;
use crate::steering::{Steer, Steering};
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};

impl Run {
    /// Puts a paused run back into the queue; whoever leases it finds out what it waits for. A pause
    /// that its owner has not answered yet is taken back.
    pub fn resume(&self, by: Steering, now: Timestamp) -> Result<Transition> {
        let by = by.checked()?;
        match (&self.state, &self.request) {
            (RunState::Waiting { reason: WaitReason::Paused(_) }, _) => {
                let mut resumed = self.to_queue(now.max(self.start_at), now);
                resumed.run.steer(Steer::Resume, by, now, &mut resumed.effects);
                Ok(resumed)
            }
            (RunState::Running { lease }, Some(Request::Pause { .. })) => {
                let after = Self { request: None, ..self.clone() };
                let effects = vec![Effect::WakeOwner(lease.worker), Effect::WakeWatchers];
                Ok(Transition::of(self, after, effects, now))
            }
            (
                RunState::Queued { .. }
                | RunState::Running { .. }
                | RunState::Waiting { .. }
                | RunState::Succeeded { .. }
                | RunState::Failed { .. }
                | RunState::Cancelled { .. },
                _,
            ) => Err(self.refuse("not paused")),
        }
    }
}
