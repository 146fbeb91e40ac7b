//! The engine itself.

mod history;
mod inbox;
mod steps;
mod waits;

use std::collections::HashMap;
use std::time::Duration;

use tenure_core::run::InboxItem;
use tenure_core::{
    Entry, EntryKind, EntryStatus, Error, Failure, Key, Name, Record, Result, Scope,
};

use crate::answer::{Command, Finished};
use crate::mismatch::Side;
use history::History;
use inbox::Inbox;

/// A run's journal, and where its code stands in it.
#[derive(Debug, Default)]
pub struct Engine {
    history: History,
    inbox: Inbox,
    /// How often each name was used in each scope: the next ordinal. Scopes count by themselves, so
    /// that a scope and a step of one name do not disturb each other.
    used: HashMap<Scope, HashMap<String, Used>>,
    /// What is being executed.
    in_flight: HashMap<Key, Task>,
    /// What may have been executed, and must not be twice.
    in_doubt: HashMap<Key, Task>,
    /// What is being waited for.
    waiting: HashMap<Key, Waiting>,
    /// Steps that may be executed again, and the failures that the code was given of them.
    failed: Vec<(Key, Failure)>,
}

/// How often a name was used in a scope.
#[derive(Debug, Default)]
struct Used {
    steps: u32,
    scopes: u32,
}

/// A step that is being executed.
#[derive(Debug)]
struct Task {
    side: Side,
    /// Whether it must not happen twice; the rest is for such steps alone.
    once: bool,
    /// The place of the entry that says that it was started last.
    started: u64,
    /// How many questions about it have been settled…
    settled: u32,
    /// …and how many were asked.
    asked: u32,
}

impl Task {
    fn new(side: Side, once: bool) -> Self {
        Self { side, once, started: 0, settled: 0, asked: 0 }
    }
}

/// Something that is being waited for.
#[derive(Debug)]
struct Waiting {
    side: Side,
    what: Event,
}

#[derive(Debug)]
enum Event {
    /// The next signal of this name.
    Signal(Name),
    /// What ends the wait with this very key.
    End,
    /// A moment; the engine has no clock.
    Moment,
}

/// The name of the step that is a sleep.
const SLEEP: &str = "sleep";
/// What the names of waits for a signal start with.
const SIGNAL: &str = "signal:";
/// What the names of questions about a step in doubt start with.
const DOUBT: &str = "doubt:";

/// The name of the step that waits for a signal.
fn signal_step(name: &Name) -> String {
    format!("{SIGNAL}{name}")
}

/// The name of a key's last segment without its ordinal.
fn step_name(key: &Key) -> &str {
    let segment = key.as_str().rsplit('/').next().unwrap_or_default();
    segment.split('#').next().unwrap_or_default()
}

impl Engine {
    /// The engine for a run with this journal. A journal whose `seq` are not 1..n, or that has more
    /// than one result for a key, was not read whole or is damaged.
    pub fn new(journal: impl IntoIterator<Item = Entry>) -> Result<Self> {
        let journal = journal.into_iter();
        let mut engine = Self::with_capacity(journal.size_hint().0);
        engine.read(journal)?;
        Ok(engine)
    }

    /// The engine for a run whose journal has about so many entries; [`read`](Self::read) them next.
    pub fn with_capacity(entries: usize) -> Self {
        Self { history: History::with_capacity(entries), ..Self::default() }
    }

    /// The same, which keeps no more than so many bytes of results until the code asks for them. Who
    /// asks for one of the others is told where in the journal it is.
    #[must_use]
    pub fn keeping(mut self, bytes: usize) -> Self {
        self.history.keep(bytes);
        self
    }

    /// Reads the next entries of the journal, for who has it in pages. All of it has to be read before
    /// the code asks for anything; after an error the engine is of no use.
    pub fn read(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<()> {
        self.history.read(entries)
    }

    /// How many entries were read.
    pub fn entries(&self) -> u64 {
        self.history.entries()
    }

    /// Puts what arrived into the inbox, in order; items that were put in before are passed over.
    pub fn receive(&mut self, items: impl IntoIterator<Item = InboxItem>) {
        for item in items {
            self.inbox.receive(item, &mut self.history);
        }
    }

    /// How many inbox items the engine has seen.
    pub fn received(&self) -> u64 {
        self.inbox.received()
    }

    /// Opens a scope in `parent`. Each call is a scope of its own, also under the same name.
    pub fn scope(&mut self, parent: &Scope, name: &str) -> Result<Scope> {
        let ordinal = self.next_ordinal(parent, name, |used| &mut used.scopes);
        parent.child(name, ordinal)
    }

    /// The code can only go on when what this key stands for has happened. Ended by
    /// [`go_on`](Self::go_on) or [`abandon`](Self::abandon).
    pub fn wait_on(&mut self, key: Key) {
        let moment = Side { kind: EntryKind::Wait, input: None };
        let side = self.in_flight.remove(&key).map_or(moment, |task| task.side);
        self.waiting.entry(key).or_insert(Waiting { side, what: Event::Moment });
    }

    /// A step that the code waited with, or that was in doubt, is being executed after all.
    pub fn go_on(&mut self, key: &Key) {
        let waited = |engine: &mut Self| Some(Task::new(engine.waiting.remove(key)?.side, false));
        if let Some(task) = self.in_doubt.remove(key).or_else(|| waited(self)) {
            self.in_flight.insert(key.clone(), task);
        }
    }

    /// The code has let go of a step or wait without its result. Nothing if it has ended.
    pub fn abandon(&mut self, key: &Key) {
        self.in_flight.remove(key);
        self.in_doubt.remove(key);
        self.waiting.remove(key);
    }

    /// Whether the code can only go on when something arrives: it waits, and nothing is in flight.
    /// The engine does not know what has been committed: nobody parks while a record is on its way.
    pub fn is_parked(&self) -> bool {
        self.in_flight.is_empty() && !self.waiting.is_empty()
    }

    /// What the code waits for, in the order of the keys.
    pub fn waits(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.waiting.keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// How many keys the code has not asked for: those of removed steps, at the end of a run.
    pub fn unused(&self) -> usize {
        self.history.unused()
    }

    /// The key of what is asked for next, and what that is.
    fn ask(&mut self, command: &Command<'_>) -> Result<(Key, Side)> {
        let Command { scope, name, kind, input } = *command;
        if name.starts_with(DOUBT) {
            return Err(taken(name));
        }
        let ordinal = self.next_ordinal(scope, name, |used| &mut used.steps);
        Ok((scope.key(name, ordinal)?, Side { kind, input }))
    }

    /// The next ordinal of a name in a scope, by one of its two counts.
    fn next_ordinal(&mut self, scope: &Scope, name: &str, count: Count) -> u32 {
        let used = self.used.get_mut(scope).and_then(|names| names.get_mut(name));
        let next = count(if let Some(used) = used {
            used
        } else {
            // Only names that are new are copied.
            let names = self.used.entry(scope.clone()).or_default();
            names.entry(name.to_owned()).or_default()
        });
        let ordinal = *next;
        *next += 1;
        ordinal
    }
}

type Count = fn(&mut Used) -> &mut u32;

impl Finished {
    fn of(self, key: &Key, side: &Side) -> Record {
        let Self { status, attempt, duration, usage } = self;
        let Side { kind, input } = *side;
        Record { key: key.clone(), kind, status, input, attempt, duration, usage }
    }
}

/// A record of something that took no time.
fn record(key: &Key, side: &Side, status: EntryStatus) -> Record {
    Finished { status, attempt: 1, duration: Duration::ZERO, usage: None }.of(key, side)
}

fn not_in_flight(key: &Key) -> Error {
    Error::internal(format!("`{key}` is not in flight"))
}

fn taken(name: &str) -> Error {
    Error::invalid(format!(
        "`{name}` cannot be a name here: sleeps, waits for signals and doubts are called so"
    ))
}
