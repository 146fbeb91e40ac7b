//! Scripts: a history, what the code asks for, and the answers that it must get.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod doubt;
mod retry;
mod steps;
mod waits;

use std::time::Duration;

use tenure_core::run::{InboxItem, Topic};
use tenure_core::{
    Digest, Entry, EntryKind, EntryStatus, Failure, Key, Name, Opening, Payload, Record, Scope,
    Steering, Timestamp,
};
use tenure_replay::{Again, Answer, Asleep, Command, Engine, Finished, Wait};

fn value(text: &str) -> EntryStatus {
    EntryStatus::Succeeded(Payload::json(text.to_owned()))
}

fn record(key: &str, text: &str) -> Record {
    Record {
        key: key.parse().unwrap(),
        kind: EntryKind::Step,
        status: value(text),
        input: None,
        attempt: 1,
        duration: Duration::ZERO,
        usage: None,
    }
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// An entry that opens something.
fn opened(key: &str, kind: EntryKind, opening: Opening) -> Record {
    Record { kind, status: EntryStatus::Opened(opening), ..record(key, "") }
}

fn failed(key: &str, code: &str) -> Record {
    Record { status: EntryStatus::Failed(Failure::retryable(code, "not now")), ..record(key, "") }
}

/// What somebody gave a step.
fn patched(key: &str, text: &str) -> Record {
    Record { kind: EntryKind::Steering, ..record(key, text) }
}

fn entry(seq: u64, record: Record) -> Entry {
    Entry { seq, epoch: 1, at: Timestamp::default(), record }
}

fn history(records: impl IntoIterator<Item = Record>) -> Vec<Entry> {
    (1..).zip(records).map(|(seq, record)| entry(seq, record)).collect()
}

fn step(engine: &mut Engine, scope: &Scope, name: &str) -> Answer {
    step_of(engine, scope, name, EntryKind::Step, None)
}

fn step_of(
    engine: &mut Engine,
    scope: &Scope,
    name: &str,
    kind: EntryKind,
    input: Option<&str>,
) -> Answer {
    let input = input.map(Digest::of);
    engine.step(&Command { scope, name, kind, input }).unwrap()
}

fn finish(engine: &mut Engine, key: &str, text: &str) -> Record {
    let finished =
        Finished { status: value(text), attempt: 1, duration: Duration::ZERO, usage: None };
    engine.finish(&self::key(key), finished).unwrap()
}

fn execute(text: &str) -> Answer {
    Answer::Execute(key(text))
}

fn recorded(text: &str) -> Answer {
    Answer::Recorded(value(text))
}

fn item(number: u64, topic: Topic, result: Result<Payload, Failure>) -> InboxItem {
    InboxItem {
        number,
        source: format!("s{number}"),
        topic,
        result,
        usage: None,
        at: Timestamp::default(),
    }
}

fn signalled(number: u64, signal: &str, text: &str) -> InboxItem {
    item(number, Topic::Signal(name(signal)), Ok(Payload::json(text.to_owned())))
}

/// What ends the wait with this key.
fn ended(number: u64, wait: &str, text: &str) -> InboxItem {
    item(number, Topic::Wait(key(wait)), Ok(Payload::json(text.to_owned())))
}

fn suspend(text: &str) -> Wait {
    Wait::Suspend(key(text), None)
}
