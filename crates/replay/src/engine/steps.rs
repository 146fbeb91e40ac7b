//! Steps: what was done, what is to be done, and what may have been.

use std::time::Duration;

use tenure_core::{EntryStatus, Failure, Key, Opening, Record, Result};

use super::history::{Recorded, State};
use super::{Engine, Task, not_in_flight, record};
use crate::answer::{Again, Answer, Command, Finished};

impl Engine {
    /// Answers a step.
    pub fn step(&mut self, command: &Command<'_>) -> Result<Answer> {
        self.answer(command, false)
    }

    /// Answers a step that must not happen twice. Append what [`start`](Self::start) makes of it
    /// before it is executed: found again without a result it is in doubt.
    pub fn step_once(&mut self, command: &Command<'_>) -> Result<Answer> {
        self.answer(command, true)
    }

    fn answer(&mut self, command: &Command<'_>, once: bool) -> Result<Answer> {
        let (key, side) = self.ask(command)?;
        let found = match self.history.take(&key, &side) {
            Ok(found) => found,
            Err(mismatch) => return Ok(Answer::Mismatch(mismatch)),
        };
        let mut task = Task::new(side, once);
        Ok(match found {
            Some(Recorded { state: State::Ended(status), .. }) => {
                self.tell(&key, once, &status);
                Answer::Recorded(status)
            }
            Some(Recorded { state: State::Elsewhere, seq, .. }) => Answer::Elsewhere(seq),
            Some(Recorded { state: State::Open, seq, .. }) if once => {
                task.started = seq;
                self.in_doubt.insert(key.clone(), task);
                Answer::InDoubt(key)
            }
            Some(Recorded { state: State::Again { attempt, pause }, at, .. }) if attempt > 1 => {
                self.in_flight.insert(key.clone(), task);
                Answer::Again(key, Again { attempt, pause, since: at })
            }
            // Code that no longer says `once` says that a repetition does no harm.
            Some(Recorded { state: State::Open | State::Again { .. }, .. }) | None => {
                self.in_flight.insert(key.clone(), task);
                Answer::Execute(key)
            }
        })
    }

    /// The record that says that a step which must not happen twice is started; once more if a
    /// doubt about it was settled so.
    pub fn start(&mut self, key: &Key) -> Result<Record> {
        self.go_on(key);
        let task = self.in_flight.get_mut(key).ok_or_else(|| not_in_flight(key))?;
        task.settled = task.asked;
        // Wherever that will be, what was recorded so far stands before it.
        task.started = u64::MAX;
        Ok(record(key, &task.side, EntryStatus::Opened(Opening::Started)))
    }

    /// The record of a step that was executed, or of one in doubt of which is known how it ended.
    /// Commit it; only then may the code see its result.
    pub fn finish(&mut self, key: &Key, finished: Finished) -> Result<Record> {
        let task = self.in_flight.remove(key).or_else(|| self.in_doubt.remove(key));
        let task = task.ok_or_else(|| not_in_flight(key))?;
        self.tell(key, task.once, &finished.status);
        Ok(finished.of(key, &task.side))
    }

    /// The records of an attempt that failed and is followed by another one after this pause: both
    /// go into one commit. The step stays in flight.
    pub fn again(&mut self, key: &Key, failed: Finished, pause: Duration) -> Result<[Record; 2]> {
        let task = self.in_flight.get(key).ok_or_else(|| not_in_flight(key))?;
        let next = Finished {
            status: EntryStatus::Opened(Opening::Again),
            attempt: failed.attempt.saturating_add(1),
            duration: pause,
            usage: None,
        };
        Ok([failed.of(key, &task.side), next.of(key, &task.side)])
    }

    /// Remembers which steps the code was given a failure of.
    fn tell(&mut self, key: &Key, once: bool, status: &EntryStatus) {
        if let (EntryStatus::Failed(failure), false) = (status, once) {
            self.failed.push((key.clone(), failure.clone()));
        }
    }

    /// The steps that have failed so, as far as the code was told, and may be executed again.
    pub fn failed_with(&self, failure: &Failure) -> Vec<Key> {
        let same = self.failed.iter().filter(|(_, given)| given == failure);
        same.map(|(key, _)| key.clone()).collect()
    }
}
