//! What the code waits for: a signal, an answer, the end of another run, a moment.

use tenure_core::{
    EntryKind, EntryStatus, Error, Failure, Key, Name, Opening, Record, Result, Scope, Usage,
};

use super::history::{Recorded, State};
use super::inbox::Brought;
use super::{
    DOUBT, Engine, Event, SIGNAL, SLEEP, Task, Waiting, not_in_flight, record, signal_step, taken,
};
use crate::answer::{Asleep, Command, Wait};
use crate::mismatch::Side;

impl Engine {
    /// Answers the question whether a step in doubt has happened: a wait beside the step, whose name
    /// has `doubt:` before the step's; once more for each question that was asked before the step was
    /// started last, so that no answer is used for two executions. While the question is open the
    /// step itself is not in flight.
    pub fn doubt(&mut self, key: &Key) -> Result<Wait> {
        if let Some(task) = self.in_flight.remove(key) {
            self.in_doubt.insert(key.clone(), task);
        }
        let task = self.in_doubt.get_mut(key).ok_or_else(|| not_in_flight(key))?;
        let side = Side { kind: EntryKind::Wait, input: task.side.input };
        let place = key.as_str().rfind('/').map_or(0, |slash| slash + 1);
        let (scope, step) = key.as_str().split_at(place);
        let mut asked = task.settled;
        let doubt = loop {
            asked += 1;
            let doubt: Key = format!("{scope}{}{step}", DOUBT.repeat(asked as usize)).parse()?;
            if self.history.place(&doubt).is_none_or(|place| place > task.started) {
                break doubt;
            }
        };
        task.asked = asked;
        Ok(self.wait(doubt, side, Event::End, true))
    }

    /// Answers a wait that somebody else ends under its key: a question, another run.
    pub fn open(&mut self, command: &Command<'_>) -> Result<Wait> {
        self.call(command).map(|(_, wait)| wait)
    }

    /// Answers a call of another run; the key says afterwards what it has [used](Self::used).
    pub fn call(&mut self, command: &Command<'_>) -> Result<(Key, Wait)> {
        if command.name == SLEEP || command.name.starts_with(SIGNAL) {
            return Err(taken(command.name));
        }
        let (key, side) = self.ask(command)?;
        let wait = self.wait(key.clone(), side, Event::End, true);
        Ok((key, wait))
    }

    /// What a called run has used, by the record that ended the call; nothing before that.
    pub fn used(&self, call: &Key) -> Usage {
        self.history.used(call)
    }

    /// Answers a wait for the next signal of this name. One with a `bound` of time is opened first
    /// ([`Opening::Started`]), so that there is a moment to count from.
    pub fn signal(&mut self, scope: &Scope, signal: &Name, bound: bool) -> Result<Wait> {
        let name = signal_step(signal);
        let command = Command { scope, name: &name, kind: EntryKind::Wait, input: None };
        let (key, side) = self.ask(&command)?;
        Ok(self.wait(key, side, Event::Signal(signal.clone()), bound))
    }

    fn wait(&mut self, key: Key, side: Side, what: Event, opens: bool) -> Wait {
        let since = match self.history.take(&key, &side) {
            Err(mismatch) => return Wait::Mismatch(mismatch),
            Ok(Some(Recorded { state: State::Ended(status), .. })) => {
                return Wait::Recorded(status);
            }
            Ok(Some(Recorded { state: State::Elsewhere, seq, .. })) => return Wait::Elsewhere(seq),
            Ok(Some(Recorded { state: State::Open, at, .. })) => Some(at),
            Ok(Some(Recorded { state: State::Again { .. }, .. }) | None) => None,
        };
        self.waiting.insert(key.clone(), Waiting { side, what });
        match self.poll(&key) {
            Some(record) => Wait::Arrived(record),
            None if opens && since.is_none() => Wait::Begin(key),
            None => Wait::Suspend(key, since),
        }
    }

    /// The record that a wait begins with.
    pub fn begin(&self, key: &Key, opening: Opening) -> Result<Record> {
        let waiting = self.waiting.get(key);
        let waiting = waiting.ok_or_else(|| Error::internal(format!("`{key}` does not wait")))?;
        Ok(record(key, &waiting.side, EntryStatus::Opened(opening)))
    }

    /// The record that ends a wait, if what it waits for has arrived.
    pub fn poll(&mut self, key: &Key) -> Option<Record> {
        let brought = match &self.waiting.get(key)?.what {
            Event::Signal(name) => self.inbox.take_signal(name)?,
            Event::End => self.inbox.take_end(key)?,
            Event::Moment => return None,
        };
        self.close(key, brought)
    }

    /// The record that ends a wait whose time is up: with what has arrived, else as failed with the
    /// code `timed_out`. A signal that arrives later is for the next wait.
    pub fn time_out(&mut self, key: &Key) -> Option<Record> {
        let late = || Failure::permanent("timed_out", "nothing arrived in time");
        self.poll(key).or_else(|| {
            self.close(key, Brought { status: EntryStatus::Failed(late()), usage: None })
        })
    }

    fn close(&mut self, key: &Key, brought: Brought) -> Option<Record> {
        let Brought { status, usage } = brought;
        let waiting = self.waiting.remove(key)?;
        self.history.close(key.clone());
        let ended = Record { usage, ..record(key, &waiting.side, status) };
        self.history.use_up(&ended);
        Some(ended)
    }

    /// Answers a sleep. While it lasts, say so with [`wait_on`](Self::wait_on).
    pub fn sleep(&mut self, scope: &Scope) -> Result<Asleep> {
        let command = Command { scope, name: SLEEP, kind: EntryKind::Wait, input: None };
        let (key, side) = self.ask(&command)?;
        Ok(match self.history.take(&key, &side) {
            Err(mismatch) => Asleep::Mismatch(mismatch),
            Ok(Some(Recorded { state: State::Ended(status), side: None, .. })) => {
                Asleep::Ended(status)
            }
            Ok(Some(Recorded {
                state: State::Ended(_) | State::Elsewhere | State::Open,
                at,
                ..
            })) => Asleep::Since(key, at),
            Ok(Some(Recorded { state: State::Again { .. }, .. }) | None) => {
                self.in_flight.insert(key.clone(), Task::new(side, false));
                Asleep::Begin(key)
            }
        })
    }
}
