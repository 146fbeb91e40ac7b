//! The checks of what is recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_sdk::v1;

use super::Check;
use crate::evidence::{Evidence, Found};
use crate::executions::Findings;
use crate::program::{self, Answer, FAILED, Part, Place, Program, SIGNAL};

/// Whether this is the entry of a step that a worker executed, and may execute again.
pub(super) fn is_step(entry: &v1::Entry) -> bool {
    is_of(entry, v1::EntryKind::Step) && !program::is_once(Found::key(entry))
}

fn is_of(entry: &v1::Entry, kind: v1::EntryKind) -> bool {
    entry.record.as_ref().map(v1::Record::kind) == Some(kind)
}

/// Whether this entry took a signal.
fn is_signal(entry: &v1::Entry) -> bool {
    let key = Found::key(entry);
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    let name = name.split_once('#').map_or(name, |(name, _)| name);
    name.strip_prefix("signal:") == Some(SIGNAL)
}

pub(super) fn once(evidence: &Evidence, findings: &Findings) -> Check {
    let mut violations = findings.unproduced.clone();
    for found in &evidence.found {
        let Program { parts, .. } = found.program();
        let places = program::places(&parts);
        let expected: BTreeMap<&str, usize> =
            places.iter().map(|place| (&*place.key, place.part.entries())).collect();
        let (mut keys, mut begins_again) = (BTreeMap::new(), false);
        let by_code = |entry: &&v1::Entry| !is_of(entry, v1::EntryKind::Steering);
        for entry in found.journal.iter().filter(by_code) {
            let count: &mut usize = keys.entry(Found::key(entry)).or_default();
            *count += 1;
            // What has two entries begins with the first and ends with the second.
            let begins = expected.get(Found::key(entry)) == Some(&2) && *count == 1;
            begins_again |= Found::opens(entry) != begins;
        }
        let whole = found.run.state() != v1::RunState::Cancelled;
        let within =
            |(key, count): (&&str, &usize)| expected.get(key).is_some_and(|most| count <= most);
        if begins_again || whole && keys != expected || !keys.iter().all(within) {
            violations.push(format!("{}: {keys:?} instead of {expected:?}", found.run.id));
        }
    }
    Check::new(
        "each part is recorded once, and each step with a result that an execution of it gave",
        format!("{} executions", findings.total),
        violations,
    )
}

pub(super) fn outputs(evidence: &Evidence) -> Check {
    let succeeded = |found: &&Found| found.run.state() == v1::RunState::Succeeded;
    let wrong = |found: &&Found| {
        let output = found.run.output.as_ref();
        let output = output.and_then(|output| serde_json::from_slice::<u64>(&output.data).ok());
        output.is_none() || output != made(found)
    };
    let all: Vec<&Found> = evidence.found.iter().filter(succeeded).collect();
    let wrong = all.iter().copied().filter(wrong);
    let violations: Vec<String> = wrong.map(|found| found.run.id.clone()).collect();
    let right = all.len() - violations.len();
    Check::new(
        "every output is made of the recorded results",
        format!("{right} of {}", all.len()),
        violations,
    )
}

/// What the run makes of its journal.
fn made(found: &Found) -> Option<u64> {
    let (program, journal) = (found.program(), found.by_key());
    let places = program::places(&program.parts);
    let worth = |place: &Place<'_>| worth(place.part, journal.get(&*place.key)?);
    places.iter().map(worth).collect::<Option<Vec<u64>>>().map(program::output)
}

/// What a part comes to that ended with this entry.
fn worth(part: &Part, entry: &v1::Entry) -> Option<u64> {
    match part {
        Part::Sleep(_) => Some(0),
        Part::Ask(ask) => {
            Answer::recorded(Found::result(entry)?).map(|(answer, _)| ask.worth(answer))
        }
        Part::Call(_) => Found::value(entry).or_else(|| {
            let status = entry.record.as_ref()?.status.as_ref()?;
            matches!(status, v1::record::Status::Failed(_)).then_some(FAILED)
        }),
        Part::Step | Part::Once | Part::Signal | Part::Branches(_) => Found::value(entry),
    }
}

pub(super) fn signals(evidence: &Evidence) -> Check {
    let mut violations = Vec::new();
    let mut acknowledged = 0;
    for found in &evidence.found {
        let sent = evidence.ledger.signals.get(&found.run.id).copied().unwrap_or_default();
        acknowledged += sent;
        let expected: Vec<Option<u64>> =
            (0..sent).map(|number| Some(program::brought(found.input(), number))).collect();
        let taken = found.journal.iter().filter(|entry| is_signal(entry));
        let taken: Vec<Option<u64>> = taken.map(Found::value).collect();
        if taken != expected {
            let id = &found.run.id;
            violations.push(format!("{id} was sent {expected:?} and has taken {taken:?}"));
        }
    }
    Check::new(
        "every acknowledged signal was taken once, in order",
        format!("{acknowledged} signals"),
        violations,
    )
}

pub(super) fn sleeps(evidence: &Evidence) -> Check {
    let mut violations = Vec::new();
    let mut slept = 0;
    for found in &evidence.found {
        let program = found.program();
        let entries = found.by_key();
        for pair in program::places(&program.parts).windows(2) {
            let [Place { key, part: Part::Sleep(length) }, next] = pair else { continue };
            let (Some(began), Some(over)) = (entries.get(&**key), entries.get(&*next.key)) else {
                continue;
            };
            slept += 1;
            let rest = rest(began, over);
            if rest.is_none_or(|rest| rest < *length) {
                let id = &found.run.id;
                violations.push(format!("{id}: {key} of {length:?} was over after {rest:?}"));
            }
        }
    }
    Check::new(
        "no sleep ended early by the database's clock",
        format!("{slept} sleeps"),
        violations,
    )
}

/// From one entry to the other; none if the second is the earlier one.
fn rest(began: &v1::Entry, over: &v1::Entry) -> Option<Duration> {
    let micros = |entry: &v1::Entry| {
        let at = entry.at.as_ref()?;
        Some(at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000)
    };
    u64::try_from(micros(over)? - micros(began)?).ok().map(Duration::from_micros)
}
