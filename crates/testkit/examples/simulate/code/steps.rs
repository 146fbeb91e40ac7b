//! Steps that may be executed again, and those that only somebody else can give a result.

use std::time::Duration;

use tenure_core::{Digest, EntryKind, EntryStatus, Failure, Payload, Result, Scope};
use tenure_replay::{Answer, Command};

use super::fiber::At;
use super::{Code, FiberId, Stop, Want, Work, unexpected};
use crate::script::Fails;

/// The code of the failure of a run that is stuck; the message is the key of the step.
pub(crate) const STUCK: &str = "stuck";

/// Its place stands for what a step is given: a result that lands elsewhere is a mismatch.
pub(super) fn input(scope: &Scope, name: &str, takes: Duration) -> Digest {
    Digest::of(format!("{scope:?} {name} {takes:?}"))
}

/// The code of the failure of a step that may be tried again.
pub(crate) const FLAKY: &str = "flaky";

/// How work ends, the `nth` time that it is executed: each execution gives another result, so that
/// it says where it comes from.
pub(crate) fn result(execution: u64, nth: usize, fails: Fails) -> EntryStatus {
    let number = execution.to_string();
    match fails {
        Fails::Always => EntryStatus::Failed(Failure::permanent("broken", number)),
        Fails::First(times) if nth <= times => {
            EntryStatus::Failed(Failure::retryable(FLAKY, number))
        }
        Fails::Never | Fails::First(_) => EntryStatus::Succeeded(Payload::json(number)),
    }
}

impl Code {
    pub(super) fn step(
        &mut self,
        id: FiberId,
        scope: &Scope,
        name: &str,
        takes: Duration,
        fails: Fails,
    ) -> Result<Option<Want>> {
        let input = Some(input(scope, name, takes));
        let answer = self.engine.step(&Command { scope, name, kind: EntryKind::Step, input })?;
        let key = match answer {
            Answer::Execute(key) => key,
            Answer::Recorded(status) => {
                self.see_step(id, &status);
                return Ok(None);
            }
            answer => return Err(unexpected(answer)),
        };
        self.fibers[id].at = At::Executing(key.clone());
        Ok(Some(Want::Do { fiber: id, key, takes, work: Work::Execute(fails) }))
    }

    /// Sees the result of a step. With a failure that another attempt may mend the whole run fails.
    pub(super) fn see_step(&mut self, id: FiberId, status: &EntryStatus) {
        match status {
            EntryStatus::Failed(failure) if failure.retryable => {
                let again = self.engine.failed_with(failure);
                self.stop.get_or_insert(Stop::Failed { failure: failure.clone(), again });
            }
            status => self.fibers[id].see(status),
        }
    }

    /// A step that only somebody else can give a result.
    pub(super) fn stuck(&mut self, id: FiberId, scope: &Scope) -> Result<Option<Want>> {
        let command = Command { scope, name: "stuck", kind: EntryKind::Step, input: None };
        match self.engine.step(&command)? {
            Answer::Recorded(status) => self.fibers[id].see(&status),
            Answer::Execute(key) => {
                let failure = Failure::permanent(STUCK, key.to_string());
                self.stop.get_or_insert(Stop::Blocked(failure));
            }
            answer => return Err(unexpected(answer)),
        }
        Ok(None)
    }
}
