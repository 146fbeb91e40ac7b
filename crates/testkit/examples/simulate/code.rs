//! The code of a run, executed over the replay engine that ships: what the SDK does with futures is
//! done here by hand, one fiber for each branch.

mod fiber;
mod once;
mod replay;
mod steps;
mod waits;

use std::time::Duration;

use tenure_core::run::InboxItem;
use tenure_core::{
    Digest, Entry, EntryStatus, Error, Failure, Key, Payload, Record, Result, Scope, Timestamp,
};
use tenure_replay::{Answer, Engine, Finished};

use crate::script::{Fails, Part, Parts, Script};
use fiber::{At, Fiber};
pub(crate) use once::{Found, IN_DOUBT, answer_of};
pub(crate) use replay::replay;
use steps::input;
pub(crate) use steps::{FLAKY, STUCK, result};

/// Which branch of the code.
pub(crate) type FiberId = usize;

/// What the code cannot do by itself.
#[derive(Debug)]
pub(crate) enum Want {
    /// Do this when the lease allows it.
    Do { fiber: FiberId, key: Key, takes: Duration, work: Work },
    /// Commit this, then call [`Code::recorded`].
    Record { fiber: FiberId, record: Record },
    /// Call [`Code::woke`] when this long has passed since the entry was made; if it has no time,
    /// since now.
    Sleep { fiber: FiberId, key: Key, began: Option<Timestamp>, length: Duration },
}

/// Something that is done with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Execute it, then call [`Code::finished`].
    Execute(Fails),
    /// Say that it starts: commit the record that [`Code::starts`] gives.
    Start,
    /// Execute a step that must not happen twice, then call [`Code::finished`]: it is on record as
    /// started, or it is known that it has not happened.
    Once { started: bool },
    /// Find out whether it has happened, then call [`Code::found`].
    FindOut,
}

/// Why the code stops before its end.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// It cannot go on without a decision.
    Blocked(Failure),
    /// It gives up for now: these steps are to be executed again if the run is tried again.
    Failed { failure: Failure, again: Vec<Key> },
}

/// A run's code in one worker.
pub(crate) struct Code {
    engine: Engine,
    fibers: Vec<Fiber>,
    stop: Option<Stop>,
}

impl Code {
    /// The code from its beginning, with a journal that was read whole.
    pub(crate) fn new(script: &Script, history: impl IntoIterator<Item = Entry>) -> Result<Self> {
        let engine = Engine::new(history)?;
        let main = Fiber::new(script.parts.clone(), Scope::root(), None);
        Ok(Self { engine, fibers: vec![main], stop: None })
    }

    /// Goes on as far as it can; what it wants to be done.
    pub(crate) fn go_on(&mut self) -> Result<Vec<Want>> {
        let mut wants = Vec::new();
        // A fiber that ends may let its parent go on, which has a smaller number.
        while let Some(fiber) = self.next_ready() {
            wants.extend(self.advance(fiber)?);
        }
        Ok(wants)
    }

    fn next_ready(&self) -> Option<FiberId> {
        let mut fibers = self.fibers.iter().filter(|_| self.stop.is_none());
        fibers.position(|fiber| matches!(fiber.at, At::Ready))
    }

    fn advance(&mut self, id: FiberId) -> Result<Option<Want>> {
        let fiber = &mut self.fibers[id];
        let (parts, place, scope) = (fiber.parts.clone(), fiber.next, fiber.scope.clone());
        fiber.next += 1;
        match parts.get(place) {
            None => {
                self.end(id);
                Ok(None)
            }
            Some(Part::Step { name, takes, fails }) => self.step(id, &scope, name, *takes, *fails),
            Some(Part::Once { name, takes, .. }) => self.once(id, &scope, name, *takes),
            Some(Part::Stuck) => self.stuck(id, &scope),
            Some(Part::Wait(name)) => {
                let wait = self.engine.signal(&scope, name, false)?;
                self.waited(id, wait)
            }
            Some(Part::Ask(question)) => self.ask(id, &scope, question),
            Some(Part::Call { script, detached, awaited }) => {
                self.call(id, &scope, *script, (*detached, *awaited))
            }
            Some(Part::Sleep(length)) => self.sleep(id, &scope, *length),
            Some(Part::Branches(branches)) => {
                self.branch(id, &scope, branches)?;
                Ok(None)
            }
        }
    }

    fn branch(&mut self, id: FiberId, scope: &Scope, branches: &[Parts]) -> Result<()> {
        let mut children = Vec::new();
        for parts in branches {
            let scope = self.engine.scope(scope, "branch")?;
            children.push(self.fibers.len());
            self.fibers.push(Fiber::new(parts.clone(), scope, Some(id)));
        }
        self.fibers[id].at = At::Joining(children);
        Ok(())
    }

    fn end(&mut self, id: FiberId) {
        self.fibers[id].at = At::Over;
        let Some(parent) = self.fibers[id].parent else { return };
        let At::Joining(children) = self.fibers[parent].at.clone() else { return };
        if children.iter().all(|child| matches!(self.fibers[*child].at, At::Over)) {
            let seen: Vec<Digest> = children.iter().map(|child| self.fibers[*child].seen).collect();
            let joined = &mut self.fibers[parent];
            for seen in seen {
                joined.fold(seen.as_bytes());
            }
            joined.at = At::Ready;
        }
    }

    /// The record of work that is done.
    pub(crate) fn finished(&mut self, fiber: FiberId, status: EntryStatus) -> Result<Record> {
        let At::Executing(key) = self.fibers[fiber].at.clone() else {
            return Err(Error::internal("work that was not asked for"));
        };
        self.fibers[fiber].at = At::Recording(status.clone());
        self.engine.finish(&key, finished(status))
    }

    /// What a fiber asked for is in the journal: it goes on.
    pub(crate) fn recorded(&mut self, id: FiberId) -> Result<Option<Want>> {
        Ok(match self.fibers[id].at.clone() {
            At::Recording(status) => {
                self.see_step(id, &status);
                None
            }
            At::Ending(status) => {
                self.fibers[id].see(&status);
                None
            }
            At::FallingAsleep(key, length) => Some(self.fall_asleep(id, key, None, length)),
            At::Opening { key, awaited } => self.opened(id, key, awaited),
            At::Asking { step, doubt } => self.asked(id, step, doubt),
            At::Starting(key) => Some(self.begins(id, key, true)),
            At::Settling { step, status } => self.settle(id, &step, &status)?,
            _ => None,
        })
    }

    /// Items of the inbox have been read: who waits for them goes on.
    pub(crate) fn receive(&mut self, items: Vec<InboxItem>) -> Vec<Want> {
        self.engine.receive(items);
        (0..self.fibers.len()).filter_map(|id| self.look(id)).collect()
    }

    /// How many items of the inbox it has been given.
    pub(crate) fn received(&self) -> u64 {
        self.engine.received()
    }

    /// What it waits for.
    pub(crate) fn waits(&self) -> Vec<Key> {
        self.engine.waits()
    }

    /// Whether it can only go on when something arrives or time passes, as far as the engine knows.
    pub(crate) fn is_parked(&self) -> bool {
        self.engine.is_parked()
    }

    /// Whether it is being recorded that a step starts.
    pub(crate) fn is_starting(&self) -> bool {
        self.fibers.iter().any(|fiber| matches!(fiber.at, At::Starting(_)))
    }

    /// Why it has stopped before its end, if it has.
    pub(crate) fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// What it gives, if it is over.
    pub(crate) fn output(&self) -> Option<Payload> {
        let main = &self.fibers[0];
        matches!(main.at, At::Over).then(|| Payload::json(main.seen.to_string()))
    }
}

fn finished(status: EntryStatus) -> Finished {
    Finished { status, attempt: 1, duration: Duration::ZERO, usage: None }
}

fn unexpected(answer: Answer) -> Error {
    match answer {
        Answer::Mismatch(mismatch) => Error::wrong_state(mismatch.to_string()),
        answer => Error::internal(format!("an answer to something else: {answer:?}")),
    }
}
