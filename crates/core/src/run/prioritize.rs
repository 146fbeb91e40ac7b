//! Prioritize: somebody moves the run within its queue.

use super::{Run, RunState};
use crate::error::{Error, Result};
use crate::limits;
use crate::steering::{Steer, Steering};
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};

/// A priority, if there is such a one.
pub(super) fn checked(priority: i32) -> Result<i32> {
    if limits::PRIORITIES.contains(&priority) {
        return Ok(priority);
    }
    let (low, high) = limits::PRIORITIES.into_inner();
    Err(Error::invalid(format!("there is no priority {priority}: use {low} to {high}")))
}

impl Run {
    /// Gives the run another priority, from the next time that it is in the queue. `None` if it has
    /// that one already.
    pub fn prioritize(
        &self,
        priority: i32,
        by: Steering,
        now: Timestamp,
    ) -> Result<Option<Transition>> {
        let by = by.checked()?;
        let priority = checked(priority)?;
        match &self.state {
            RunState::Queued { .. } | RunState::Waiting { .. } if priority == self.priority => {
                Ok(None)
            }
            RunState::Queued { .. } | RunState::Waiting { .. } => {
                let mut after = Self { priority, ..self.clone() };
                let mut effects = Vec::with_capacity(4);
                after.steer(Steer::Prioritize, by, now, &mut effects);
                if let Some(ready_at) = self.ready_at() {
                    effects.extend([Effect::Dequeue, Effect::Enqueue { ready_at }]);
                }
                effects.push(Effect::WakeWatchers);
                Ok(Some(Transition::of(self, after, effects, now)))
            }
            RunState::Running { .. }
            | RunState::Succeeded { .. }
            | RunState::Failed { .. }
            | RunState::Cancelled { .. } => {
                Err(self.refuse("in no queue, where alone a priority matters"))
            }
        }
    }
}
