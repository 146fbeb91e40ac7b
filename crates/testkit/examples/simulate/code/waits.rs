//! What the code waits for: signals, answers, the ends of calls, moments.

use std::time::Duration;

use tenure_core::{
    Budget, Call, Digest, EntryKind, EntryStatus, Error, Key, Opening, Payload, Question, Record,
    Result, Scope, Timestamp,
};
use tenure_replay::{Asleep, Command, Wait};

use super::fiber::At;
use super::{Code, FiberId, Want, finished};

impl Code {
    pub(super) fn ask(
        &mut self,
        id: FiberId,
        scope: &Scope,
        question: &Question,
    ) -> Result<Option<Want>> {
        let name = question.title.as_str();
        let command = Command { scope, name, kind: EntryKind::Wait, input: None };
        let wait = self.engine.open(&command)?;
        self.open(id, wait, Opening::Interrupt(Box::new(question.clone())), true)
    }

    /// Calls a script by its number.
    pub(super) fn call(
        &mut self,
        id: FiberId,
        scope: &Scope,
        script: usize,
        (detached, awaited): (bool, bool),
    ) -> Result<Option<Want>> {
        let asked = script.to_string();
        let input = Some(Digest::of(&asked));
        let command = Command { scope, name: "call", kind: EntryKind::Child, input };
        let wait = self.engine.open(&command)?;
        let agent = "agent".parse()?;
        let (version, input, budget) = (String::new(), Payload::json(asked), Budget::default());
        let call = Call { agent, version, input, detached, budget };
        self.open(id, wait, Opening::Child(Box::new(call)), awaited)
    }

    fn open(
        &mut self,
        id: FiberId,
        wait: Wait,
        opening: Opening,
        awaited: bool,
    ) -> Result<Option<Want>> {
        match wait {
            Wait::Begin(key) => {
                let record = self.engine.begin(&key, opening)?;
                self.fibers[id].at = At::Opening { key, awaited };
                Ok(Some(Want::Record { fiber: id, record }))
            }
            // It was made; how it ends is nothing to the code.
            Wait::Suspend(key, _) if !awaited => {
                self.engine.abandon(&key);
                Ok(None)
            }
            Wait::Recorded(_) | Wait::Arrived(_) if !awaited => Ok(None),
            wait => self.waited(id, wait),
        }
    }

    /// A question or call is on record.
    pub(super) fn opened(&mut self, id: FiberId, key: Key, awaited: bool) -> Option<Want> {
        if awaited {
            self.fibers[id].at = At::Waiting(key);
            return self.look(id);
        }
        self.engine.abandon(&key);
        self.fibers[id].at = At::Ready;
        None
    }

    pub(super) fn waited(&mut self, id: FiberId, wait: Wait) -> Result<Option<Want>> {
        match wait {
            Wait::Recorded(status) => {
                self.fibers[id].see(&status);
                Ok(None)
            }
            Wait::Arrived(record) => {
                self.fibers[id].at = At::Ending(record.status.clone());
                Ok(Some(Want::Record { fiber: id, record }))
            }
            Wait::Suspend(key, _) => {
                self.fibers[id].at = At::Waiting(key);
                Ok(None)
            }
            Wait::Mismatch(mismatch) => Err(Error::wrong_state(mismatch.to_string())),
            // Its engine keeps all results.
            wait @ (Wait::Begin(_) | Wait::Elsewhere(_)) => {
                Err(Error::internal(format!("nobody opens or reads this: {wait:?}")))
            }
        }
    }

    /// Looks whether what a fiber waits for has arrived.
    pub(super) fn look(&mut self, id: FiberId) -> Option<Want> {
        let (key, step) = match self.fibers[id].at.clone() {
            At::Waiting(key) => (key, None),
            At::Doubting { step, doubt } => (doubt, Some(step)),
            _ => return None,
        };
        let record: Record = self.engine.poll(&key)?;
        let status = record.status.clone();
        self.fibers[id].at = match step {
            Some(step) => At::Settling { step, status },
            None => At::Ending(status),
        };
        Some(Want::Record { fiber: id, record })
    }

    pub(super) fn sleep(
        &mut self,
        id: FiberId,
        scope: &Scope,
        length: Duration,
    ) -> Result<Option<Want>> {
        match self.engine.sleep(scope)? {
            Asleep::Since(key, at) => Ok(Some(self.fall_asleep(id, key, Some(at), length))),
            Asleep::Begin(key) => {
                let status = EntryStatus::Succeeded(Payload::default());
                let record = self.engine.finish(&key, finished(status))?;
                self.fibers[id].at = At::FallingAsleep(key, length);
                Ok(Some(Want::Record { fiber: id, record }))
            }
            Asleep::Ended(status) => {
                Err(Error::internal(format!("nobody ends a sleep: {status:?}")))
            }
            Asleep::Mismatch(mismatch) => Err(Error::wrong_state(mismatch.to_string())),
        }
    }

    pub(super) fn fall_asleep(
        &mut self,
        fiber: FiberId,
        key: Key,
        began: Option<Timestamp>,
        length: Duration,
    ) -> Want {
        self.engine.wait_on(key.clone());
        self.fibers[fiber].at = At::Sleeping(key.clone());
        Want::Sleep { fiber, key, began, length }
    }

    /// A sleep is over.
    pub(crate) fn woke(&mut self, fiber: FiberId) {
        if let At::Sleeping(key) = self.fibers[fiber].at.clone() {
            self.engine.abandon(&key);
            self.fibers[fiber].at = At::Ready;
        }
    }
}
