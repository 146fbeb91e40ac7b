//! The engine itself.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use tenure_core::run::InboxItem;
use tenure_core::{
    Digest, Entry, EntryKind, EntryStatus, Error, Key, Name, Payload, Record, Result, Scope,
    Timestamp, Usage,
};

use crate::mismatch::{Mismatch, Side};

/// What a run's code asks for.
#[derive(Clone, Debug)]
pub struct Command<'a> {
    /// Where in the program.
    pub scope: &'a Scope,
    /// What it is called there; equals in one scope are told apart by order.
    pub name: &'a str,
    /// What kind of work.
    pub kind: EntryKind,
    /// Fingerprint of what it is given.
    pub input: Option<Digest>,
}

/// What the engine says to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has been done: this was the result.
    Recorded(EntryStatus),
    /// It has not: do it, then say how it ended with [`Engine::finish`].
    Execute(Key),
    /// What is waited for is here: append this record, then use its payload.
    Arrived(Record),
    /// What is waited for is not here. Ask again with [`Engine::poll_wait`] when the inbox moved.
    Suspend(Key),
    /// The journal has something else under this key. The run is blocked.
    Mismatch(Box<Mismatch>),
}

/// What the engine says to a sleep. It ends when its time has passed since it was recorded, by the
/// clock of the entry: nothing else has to be recorded, and another length in newer code is no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asleep {
    /// It began then.
    Since(Key, Timestamp),
    /// It begins now: [`Engine::finish`] it and commit the record.
    Begin(Key),
    /// The journal has something else under this key. The run is blocked.
    Mismatch(Box<Mismatch>),
}

/// How a step that the engine said to execute has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its result.
    pub status: EntryStatus,
    /// Which attempt gave it, counted from 1.
    pub attempt: u32,
    /// How long that attempt took.
    pub duration: Duration,
    /// What it consumed.
    pub usage: Option<Usage>,
}

/// A run's journal, and where its code stands in it.
#[derive(Debug, Default)]
pub struct Engine {
    /// What the journal has and the code has not asked for yet.
    recorded: HashMap<Key, Recorded>,
    /// How often each name was used in each scope: the next ordinal. Scopes count by themselves, so
    /// that a scope and a step of one name do not disturb each other.
    used: HashMap<(Scope, String, Space), u32>,
    /// What is being executed.
    in_flight: HashMap<Key, Side>,
    /// What is being waited for.
    waiting: HashSet<Key>,
    /// What has arrived and was not taken yet, by the signal's name, in order.
    inbox: HashMap<Name, VecDeque<Payload>>,
    /// How many inbox items were put in.
    received: u64,
    /// How many signals of each name the journal says were taken, less those put in and dropped.
    taken: HashMap<String, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Space {
    Step,
    Scope,
}

#[derive(Debug)]
struct Recorded {
    at: Timestamp,
    status: EntryStatus,
    side: Side,
}

/// The name of the step that is a sleep.
const SLEEP: &str = "sleep";

/// The name of the step that waits for a signal.
fn signal_step(name: &str) -> String {
    format!("signal:{name}")
}

/// The name of a key's last segment without its ordinal.
fn step_name(key: &Key) -> &str {
    let segment = key.as_str().rsplit('/').next().unwrap_or_default();
    segment.split('#').next().unwrap_or_default()
}

impl Engine {
    /// The engine for a run with this journal. A journal whose `seq` are not 1..n, or that has a
    /// key twice, was not read whole or is damaged.
    pub fn new(history: impl IntoIterator<Item = Entry>) -> Result<Self> {
        let mut engine = Self::default();
        for (place, entry) in history.into_iter().enumerate() {
            if entry.seq != place as u64 + 1 {
                let (seq, place) = (entry.seq, place + 1);
                return Err(Error::internal(format!("entry {seq} stands in place {place}")));
            }
            engine.remember(entry.at, entry.record)?;
        }
        Ok(engine)
    }

    fn remember(&mut self, at: Timestamp, record: Record) -> Result<()> {
        let Record { key, kind, status, input, .. } = record;
        if kind == EntryKind::Wait {
            *self.taken.entry(step_name(&key).to_owned()).or_default() += 1;
        }
        let recorded = Recorded { at, status, side: Side { kind, input } };
        match self.recorded.insert(key.clone(), recorded) {
            None => Ok(()),
            Some(_) => Err(Error::internal(format!("entry `{key}` is in the journal twice"))),
        }
    }

    /// Puts what arrived into the inbox, in order; items that were put in before are passed over.
    pub fn receive(&mut self, items: impl IntoIterator<Item = InboxItem>) {
        for item in items {
            if item.number <= self.received {
                continue;
            }
            self.received = item.number;
            // Signals of one name are taken in order, so the journal need not say which it was.
            match self.taken.get_mut(&signal_step(item.name.as_str())) {
                Some(taken) if *taken > 0 => *taken -= 1,
                _ => self.inbox.entry(item.name).or_default().push_back(item.payload),
            }
        }
    }

    /// How many inbox items the engine has seen.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Opens a scope in `parent`. Each call is a scope of its own, also under the same name.
    pub fn scope(&mut self, parent: &Scope, name: &str) -> Result<Scope> {
        let ordinal = self.next_ordinal(parent, name, Space::Scope);
        parent.child(name, ordinal)
    }

    /// Answers a step.
    pub fn step(&mut self, command: &Command<'_>) -> Result<Answer> {
        let ordinal = self.next_ordinal(command.scope, command.name, Space::Step);
        let key = command.scope.key(command.name, ordinal)?;
        let side = Side { kind: command.kind, input: command.input };
        if let Some(answer) = self.take_recorded(&key, &side) {
            return Ok(answer);
        }
        self.in_flight.insert(key.clone(), side);
        Ok(Answer::Execute(key))
    }

    /// Answers a wait for the next signal of this name.
    pub fn wait(&mut self, scope: &Scope, signal: &Name) -> Result<Answer> {
        let name = signal_step(signal.as_str());
        let ordinal = self.next_ordinal(scope, &name, Space::Step);
        let key = scope.key(&name, ordinal)?;
        let side = Side { kind: EntryKind::Wait, input: None };
        if let Some(answer) = self.take_recorded(&key, &side) {
            return Ok(answer);
        }
        self.waiting.insert(key.clone());
        Ok(self.poll_wait(&key, signal))
    }

    /// Answers a wait that was told to suspend, again.
    pub fn poll_wait(&mut self, key: &Key, signal: &Name) -> Answer {
        let Some(payload) = self.inbox.get_mut(signal).and_then(VecDeque::pop_front) else {
            return Answer::Suspend(key.clone());
        };
        self.waiting.remove(key);
        Answer::Arrived(Record {
            key: key.clone(),
            kind: EntryKind::Wait,
            status: EntryStatus::Succeeded(payload),
            input: None,
            attempt: 1,
            duration: Duration::ZERO,
            usage: None,
        })
    }

    /// Answers a sleep. While it lasts, say so with [`Engine::wait_on`].
    pub fn sleep(&mut self, scope: &Scope) -> Result<Asleep> {
        let ordinal = self.next_ordinal(scope, SLEEP, Space::Step);
        let key = scope.key(SLEEP, ordinal)?;
        let found = Side { kind: EntryKind::Wait, input: None };
        let Some(Recorded { at, side, .. }) = self.recorded.remove(&key) else {
            self.in_flight.insert(key.clone(), found);
            return Ok(Asleep::Begin(key));
        };
        if side == found {
            return Ok(Asleep::Since(key, at));
        }
        Ok(Asleep::Mismatch(Box::new(Mismatch { key, expected: side, found })))
    }

    /// The code can only go on when what this key stands for has happened. Ended by
    /// [`Engine::abandon`].
    pub fn wait_on(&mut self, key: Key) {
        self.waiting.insert(key);
    }

    /// The record of a step that was executed. Commit it; only then may the code see its result.
    pub fn finish(&mut self, key: &Key, finished: Finished) -> Result<Record> {
        let Some(Side { kind, input }) = self.in_flight.remove(key) else {
            return Err(Error::internal(format!("`{key}` is not in flight")));
        };
        let Finished { status, attempt, duration, usage } = finished;
        Ok(Record { key: key.clone(), kind, status, input, attempt, duration, usage })
    }

    /// The code has let go of a step or wait without its result. Nothing if it has ended.
    pub fn abandon(&mut self, key: &Key) {
        self.in_flight.remove(key);
        self.waiting.remove(key);
    }

    /// Whether the code can only go on when something arrives: it waits, and nothing is in flight.
    pub fn is_parked(&self) -> bool {
        self.in_flight.is_empty() && !self.waiting.is_empty()
    }

    /// How many entries the code has not asked for: those of removed steps, at the end of a run.
    pub fn unused(&self) -> usize {
        self.recorded.len()
    }

    fn next_ordinal(&mut self, scope: &Scope, name: &str, space: Space) -> u32 {
        let next = self.used.entry((scope.clone(), name.to_owned(), space)).or_default();
        let ordinal = *next;
        *next += 1;
        ordinal
    }

    /// What the journal has under this key. Each key is asked for once, so the entry is given away:
    /// a long replay does not hold payloads that were used.
    fn take_recorded(&mut self, key: &Key, found: &Side) -> Option<Answer> {
        let Recorded { status, side, .. } = self.recorded.remove(key)?;
        if side == *found {
            return Some(Answer::Recorded(status));
        }
        let (key, found) = (key.clone(), found.clone());
        Some(Answer::Mismatch(Box::new(Mismatch { key, expected: side, found })))
    }
}
