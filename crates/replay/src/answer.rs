//! What the engine is asked, and what it says.

use std::time::Duration;

use tenure_core::{Digest, EntryKind, EntryStatus, Key, Record, Scope, Timestamp, Usage};

use crate::mismatch::Mismatch;

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

/// What the engine says to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has been done: this was the result.
    Recorded(EntryStatus),
    /// It has been done, and its result was not [kept](crate::Engine::keeping): it is the one of the
    /// entry in this place of the journal.
    Elsewhere(u64),
    /// It has not: do it, then say how it ended with [`Engine::finish`](crate::Engine::finish).
    Execute(Key),
    /// It failed, and is to be done once more when its pause is over.
    Again(Key, Again),
    /// It was started and has no result, and it must not happen twice. Nobody but the outer world
    /// knows whether it happened: find out, or ask with
    /// [`Engine::doubt`](crate::Engine::doubt).
    InDoubt(Key),
    /// The journal has something else under this key. The run is blocked.
    Mismatch(Box<Mismatch>),
}

/// How a step goes on that failed and may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// The attempt that is next, at least 2.
    pub attempt: u32,
    /// The pause before it…
    pub pause: Duration,
    /// …and since when it lasts.
    pub since: Timestamp,
}

/// What the engine says to a wait: for a signal, an answer, the end of another run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It has ended: with this result.
    Recorded(EntryStatus),
    /// It has ended, and its result was not [kept](crate::Engine::keeping): it is the one of the entry
    /// in this place of the journal.
    Elsewhere(u64),
    /// It begins now: append what [`Engine::begin`](crate::Engine::begin) makes of it, then wait.
    Begin(Key),
    /// What is waited for is here: append this record, then use its status.
    Arrived(Record),
    /// What is waited for is not here. Ask [`Engine::poll`](crate::Engine::poll) when the inbox
    /// moved. The moment is when it began, if that was recorded.
    Suspend(Key, Option<Timestamp>),
    /// The journal has something else under this key. The run is blocked.
    Mismatch(Box<Mismatch>),
}

/// What the engine says to a sleep. It ends when its time has passed since it was recorded, by the
/// clock of the entry: nothing else has to be recorded, and another length in newer code is no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asleep {
    /// It began then.
    Since(Key, Timestamp),
    /// It begins now: [`Engine::finish`](crate::Engine::finish) it and commit the record.
    Begin(Key),
    /// Somebody ended it, with this result.
    Ended(EntryStatus),
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
