//! The code of a run, executed over the replay engine that ships: what the SDK does with futures is
//! done here by hand, one fiber for each branch.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::InboxItem;
use tenure_core::{
    Digest, Entry, EntryKind, EntryStatus, Error, Failure, Key, Payload, Record, Result, Scope,
    Timestamp,
};
use tenure_replay::{Answer, Asleep, Command, Engine, Finished, Wait};

use crate::message::value;
use crate::script::{Part, Parts, Script};

/// Which branch of the code.
pub(crate) type FiberId = usize;

/// What the code cannot do by itself.
#[derive(Debug)]
pub(crate) enum Want {
    /// Do this work, then call [`Code::finished`].
    Execute { fiber: FiberId, key: Key, takes: Duration, fails: bool },
    /// Commit this, then call [`Code::recorded`].
    Record { fiber: FiberId, record: Record },
    /// Call [`Code::woke`] when this long has passed since the entry was made; if it has no time,
    /// since now.
    Sleep { fiber: FiberId, key: Key, began: Option<Timestamp>, length: Duration },
}

/// A run's code in one worker.
pub(crate) struct Code {
    engine: Engine,
    fibers: Vec<Fiber>,
}

struct Fiber {
    parts: Parts,
    next: usize,
    scope: Scope,
    parent: Option<FiberId>,
    at: At,
    /// Made of every result that the fiber has seen, in order.
    seen: Digest,
}

/// Where a fiber stands.
#[derive(Clone)]
enum At {
    Ready,
    Executing(Key),
    /// Its record is being committed. The code sees the result when that is acknowledged.
    Recording(EntryStatus),
    /// The record of a sleep that begins is being committed.
    FallingAsleep(Key, Duration),
    Sleeping(Key),
    Waiting(Key),
    /// Its branches are not all over yet.
    Joining(Vec<FiberId>),
    Over,
}

impl Code {
    /// The code from its beginning, with a journal that was read whole.
    pub(crate) fn new(script: &Script, history: impl IntoIterator<Item = Entry>) -> Result<Self> {
        let engine = Engine::new(history)?;
        let main = Fiber::new(script.parts.clone(), Scope::root(), None);
        Ok(Self { engine, fibers: vec![main] })
    }

    /// Goes on as far as it can; what it wants to be done.
    pub(crate) fn go_on(&mut self) -> Result<Vec<Want>> {
        let mut wants = Vec::new();
        // A fiber that ends may let its parent go on, which has a smaller number.
        while let Some(fiber) = self.fibers.iter().position(|fiber| matches!(fiber.at, At::Ready)) {
            wants.extend(self.advance(fiber)?);
        }
        Ok(wants)
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
            Some(Part::Wait(name)) => {
                let wait = self.engine.signal(&scope, name, false)?;
                self.waited(id, wait)
            }
            Some(Part::Sleep(length)) => self.sleep(id, &scope, *length),
            Some(Part::Branches(branches)) => {
                self.branch(id, &scope, branches)?;
                Ok(None)
            }
        }
    }

    fn step(
        &mut self,
        id: FiberId,
        scope: &Scope,
        name: &str,
        takes: Duration,
        fails: bool,
    ) -> Result<Option<Want>> {
        // Its place stands for what it is given: a result that lands elsewhere is a mismatch.
        let input = Some(Digest::of(format!("{scope:?} {name} {takes:?}")));
        let command = Command { scope, name, kind: EntryKind::Step, input };
        let answer = self.engine.step(&command)?;
        if let Answer::Execute(key) = &answer {
            self.fibers[id].at = At::Executing(key.clone());
            return Ok(Some(Want::Execute { fiber: id, key: key.clone(), takes, fails }));
        }
        self.answered(id, answer)
    }

    fn answered(&mut self, id: FiberId, answer: Answer) -> Result<Option<Want>> {
        match answer {
            Answer::Recorded(status) => {
                self.fibers[id].see(&status);
                Ok(None)
            }
            Answer::Mismatch(mismatch) => Err(Error::wrong_state(mismatch.to_string())),
            answer => Err(Error::internal(format!("an answer to something else: {answer:?}"))),
        }
    }

    fn waited(&mut self, id: FiberId, wait: Wait) -> Result<Option<Want>> {
        match wait {
            Wait::Recorded(status) => {
                self.fibers[id].see(&status);
                Ok(None)
            }
            Wait::Arrived(record) => Ok(Some(self.arrived(id, record))),
            Wait::Suspend(key, _) => {
                self.fibers[id].at = At::Waiting(key);
                Ok(None)
            }
            Wait::Mismatch(mismatch) => Err(Error::wrong_state(mismatch.to_string())),
            wait @ Wait::Begin(_) => Err(Error::internal(format!("nobody opens this: {wait:?}"))),
        }
    }

    fn arrived(&mut self, id: FiberId, record: Record) -> Want {
        self.fibers[id].at = At::Recording(record.status.clone());
        Want::Record { fiber: id, record }
    }

    fn sleep(&mut self, id: FiberId, scope: &Scope, length: Duration) -> Result<Option<Want>> {
        match self.engine.sleep(scope)? {
            Asleep::Since(key, at) => Ok(Some(self.fall_asleep(id, key, Some(at), length))),
            Asleep::Begin(key) => {
                let record = self
                    .engine
                    .finish(&key, finished(EntryStatus::Succeeded(Payload::default())))?;
                self.fibers[id].at = At::FallingAsleep(key, length);
                Ok(Some(Want::Record { fiber: id, record }))
            }
            Asleep::Ended(status) => {
                Err(Error::internal(format!("nobody ends a sleep: {status:?}")))
            }
            Asleep::Mismatch(mismatch) => Err(Error::wrong_state(mismatch.to_string())),
        }
    }

    fn fall_asleep(
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

    /// What a fiber asked for is in the journal. If it is a sleep, that begins.
    pub(crate) fn recorded(&mut self, fiber: FiberId) -> Option<Want> {
        match self.fibers[fiber].at.clone() {
            At::FallingAsleep(key, length) => Some(self.fall_asleep(fiber, key, None, length)),
            At::Recording(status) => {
                self.fibers[fiber].see(&status);
                None
            }
            _ => None,
        }
    }

    /// A sleep is over.
    pub(crate) fn woke(&mut self, fiber: FiberId) {
        if let At::Sleeping(key) = self.fibers[fiber].at.clone() {
            self.engine.abandon(&key);
            self.fibers[fiber].at = At::Ready;
        }
    }

    /// Items of the inbox have been read: who waits for them goes on.
    pub(crate) fn receive(&mut self, items: Vec<InboxItem>) -> Vec<Want> {
        self.engine.receive(items);
        let mut wants = Vec::new();
        for id in 0..self.fibers.len() {
            if let At::Waiting(key) = self.fibers[id].at.clone()
                && let Some(record) = self.engine.poll(&key)
            {
                wants.push(self.arrived(id, record));
            }
        }
        wants
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

    /// What it gives, if it is over.
    pub(crate) fn output(&self) -> Option<Payload> {
        let main = &self.fibers[0];
        matches!(main.at, At::Over).then(|| Payload::json(main.seen.to_string()))
    }
}

impl Fiber {
    fn new(parts: Parts, scope: Scope, parent: Option<FiberId>) -> Self {
        Self { parts, next: 0, scope, parent, at: At::Ready, seen: Digest::of("") }
    }

    fn see(&mut self, status: &EntryStatus) {
        self.fold(value(status));
        self.at = At::Ready;
    }

    fn fold(&mut self, more: &[u8]) {
        self.seen = Digest::of([&self.seen.as_bytes()[..], more].concat());
    }
}

fn finished(status: EntryStatus) -> Finished {
    Finished { status, attempt: 1, duration: Duration::ZERO, usage: None }
}

/// How work ends: each execution gives another result, so that it says where it comes from.
pub(crate) fn result(execution: u64, fails: bool) -> EntryStatus {
    if fails {
        EntryStatus::Failed(Failure::permanent("broken", execution.to_string()))
    } else {
        EntryStatus::Succeeded(Payload::json(execution.to_string()))
    }
}

/// A journal replayed to its end, asking for nothing: what the code gives then.
pub(crate) fn replay(script: &Arc<Script>, journal: &[Entry]) -> Result<Option<Payload>> {
    let mut code = Code::new(script, journal.iter().cloned())?;
    loop {
        let wants = code.go_on()?;
        if wants.is_empty() {
            return Ok(code.output());
        }
        for want in wants {
            match want {
                Want::Sleep { fiber, .. } => code.woke(fiber),
                Want::Execute { key, .. } => {
                    return Err(Error::internal(format!("`{key}` is not in the journal")));
                }
                Want::Record { record, .. } => {
                    let key = record.key;
                    return Err(Error::internal(format!("`{key}` is not in the journal")));
                }
            }
        }
    }
}
