//! Patch: somebody gives a blocked run the result of a step.

use super::{Run, RunState, WaitReason};
use crate::error::{Error, Result};
use crate::journal::{EntryStatus, Record};
use crate::key::Key;
use crate::steering::{Steer, Steering};
use crate::time::Timestamp;
use crate::transition::Transition;

impl Run {
    /// Records a result for the step `key` of a blocked run, in place of what the journal has there
    /// or of executing it, and puts the run back into the queue. Whatever the step is given then,
    /// this is its result.
    pub fn patch(
        &self,
        key: Key,
        status: EntryStatus,
        by: Steering,
        now: Timestamp,
    ) -> Result<Transition> {
        let by = by.checked()?;
        if key.is_reserved() {
            return Err(Error::invalid(format!("`{key}` is not the key of a step")));
        }
        let status = match status {
            EntryStatus::Succeeded(payload) => {
                EntryStatus::Succeeded(payload.checked(format!("the result for `{key}`"))?)
            }
            EntryStatus::Failed(failure) => EntryStatus::Failed(failure.cleaned()),
            EntryStatus::Opened(_) | EntryStatus::Steered(_) => {
                return Err(Error::invalid(format!(
                    "`{key}` needs a result: a payload or a failure"
                )));
            }
        };
        match &self.state {
            RunState::Waiting { reason: WaitReason::Blocked(_) } => {
                let mut patched = self.to_queue(now, now);
                patched.run.steer(Steer::Patch, by, now, &mut patched.effects);
                let given = patched.run.entry(Record::given(key, status), now);
                patched.effects.push(given);
                Ok(patched)
            }
            RunState::Queued { .. }
            | RunState::Running { .. }
            | RunState::Waiting { .. }
            | RunState::Succeeded { .. }
            | RunState::Failed { .. }
            | RunState::Cancelled { .. } => Err(self.refuse("only a blocked run can be patched")),
        }
    }
}
