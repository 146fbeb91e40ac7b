//! The checks.

use std::collections::BTreeSet;
use std::time::Duration;

use tenure_sdk::v1;

use super::Check;
use crate::evidence::{Evidence, Found};
use crate::executions::Findings;
use crate::fault::{Party, What};
use crate::log::Event;
use crate::program::{self, Part, Place, SIGNAL};

/// Whether this is the entry of a step, so of something that a worker executed.
pub(super) fn is_step(entry: &v1::Entry) -> bool {
    let kind = entry.record.as_ref().map(v1::Record::kind);
    kind == Some(v1::EntryKind::Step)
}

/// Whether this entry took a signal.
fn is_signal(entry: &v1::Entry) -> bool {
    let key = Found::key(entry);
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    let name = name.split_once('#').map_or(name, |(name, _)| name);
    name.strip_prefix("signal:") == Some(SIGNAL)
}

pub(super) fn created(evidence: &Evidence) -> Check {
    let Evidence { ledger, found, listed, .. } = evidence;
    let mut violations = ledger.problems.clone();
    let ids: BTreeSet<&str> = found.iter().map(|found| found.run.id.as_str()).collect();
    if ids.len() != ledger.created || listed.len() != ledger.created {
        let (different, there) = (ids.len(), listed.len());
        violations.push(format!("{different} different runs acknowledged, {there} there"));
    }
    Check::new(
        "every request made one run",
        format!(
            "{} of {}; {} requests sent again because the outcome was unknown, {} although it \
             was known",
            ids.len(),
            ledger.created,
            ledger.unknown,
            ledger.repeated
        ),
        violations,
    )
}

pub(super) fn ended(evidence: &Evidence) -> Check {
    let succeeded = |run: &v1::Run| run.state() == v1::RunState::Succeeded;
    let describe = |run: &v1::Run| {
        format!("{} is {:?} after {} leases: {:?}", run.id, run.state(), run.attempts, run.failure)
    };
    let runs = || evidence.found.iter().map(|found| &found.run);
    let mut violations: Vec<String> = runs().filter(|run| !succeeded(run)).map(describe).collect();
    let open = evidence.listed.iter().filter(|run| run.ended_at.is_none());
    violations.extend(open.map(|run| format!("{} is left without an end", run.id)));
    let (all, good) = (evidence.found.len(), runs().filter(|run| succeeded(run)).count());
    Check::new("every acknowledged run succeeded", format!("{good} of {all}"), violations)
}

pub(super) fn gapless(evidence: &Evidence) -> Check {
    let mut violations = Vec::new();
    let mut entries = 0;
    for Found { run, journal } in &evidence.found {
        entries += journal.len();
        if !(1..).zip(journal).all(|(seq, entry)| entry.seq == seq) {
            let seqs: Vec<u64> = journal.iter().map(|entry| entry.seq).collect();
            violations.push(format!("{}: {seqs:?}", run.id));
        }
        if !journal.is_sorted_by_key(|entry| entry.epoch) {
            violations.push(format!("{}: an epoch falls", run.id));
        }
        let (there, seen) = (journal.len(), evidence.seen.count(&run.id));
        if there as u64 != run.entries || there < seen {
            let told = run.entries;
            violations.push(format!("{}: {there} entries of {told}, {seen} seen", run.id));
        }
    }
    Check::new(
        "every journal has each seq once, and its epochs never fall",
        format!("{entries} entries in {} journals", evidence.found.len()),
        violations,
    )
}

pub(super) fn once(evidence: &Evidence, findings: &Findings) -> Check {
    let mut violations = findings.unproduced.clone();
    for found in &evidence.found {
        let program = found.program();
        let places = program::places(&program);
        let mut expected: Vec<&str> = places.iter().map(|place| place.key.as_str()).collect();
        let mut keys: Vec<&str> = found.journal.iter().map(Found::key).collect();
        expected.sort_unstable();
        keys.sort_unstable();
        if keys != expected {
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
    let wrong = |found: &&Found| {
        let output = found.run.output.as_ref();
        let output = output.and_then(|output| serde_json::from_slice::<u64>(&output.data).ok());
        let gave = found.journal.iter().filter(|entry| is_step(entry) || is_signal(entry));
        output != Some(program::output(gave.filter_map(Found::value)))
    };
    let violations: Vec<String> =
        evidence.found.iter().filter(wrong).map(|found| found.run.id.clone()).collect();
    let all = evidence.found.len();
    let right = all - violations.len();
    Check::new(
        "every output is made of the recorded results",
        format!("{right} of {all}"),
        violations,
    )
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
        for pair in program::places(&program).windows(2) {
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

pub(super) fn unchanged(evidence: &Evidence) -> Check {
    let figures = format!("{} were read again and compared", evidence.seen.compared);
    Check::new("no recorded entry and no end changed", figures, evidence.seen.changes.clone())
}

pub(super) fn watched(evidence: &Evidence) -> Check {
    let figures = format!("{} entries and ends", evidence.ledger.watched);
    let what = "every watch showed each entry once, in order, and all of them before the end";
    Check::new(what, figures, evidence.ledger.gaps.clone())
}

pub(super) fn kept(findings: &Findings) -> Check {
    Check::new(
        "no result that a worker was told is recorded was lost",
        format!(
            "{} were recorded although nobody lived to be told, {} came too late from a worker \
             that had been replaced",
            findings.untold, findings.late
        ),
        findings.lost.clone(),
    )
}

pub(super) fn repeated(findings: &Findings) -> Check {
    let in_vain: usize = findings.in_vain.values().sum();
    Check::new(
        "only steps in flight at a fault were executed more than once",
        format!(
            "{} steps; {} of {} executions repeat another",
            findings.steps_repeated,
            in_vain + findings.unexplained.len(),
            findings.total
        ),
        findings.unexplained.clone(),
    )
}

pub(super) fn faults(evidence: &Evidence, kinds: &[(What, Party)]) -> Check {
    let begun = |line: &crate::log::Line| match line.event {
        Event::FaultBegins(_, fault) => Some((fault.what, fault.whom)),
        _ => None,
    };
    let all: Vec<_> = evidence.log.iter().filter_map(begun).collect();
    let kinds: BTreeSet<&(What, Party)> = kinds.iter().collect();
    let missing = kinds.iter().filter(|kind| !all.contains(kind));
    let violations = missing.map(|(what, whom)| format!("none of {whom} {what}")).collect();
    let figures = format!("{} of {} kinds", all.len(), kinds.len());
    Check::new("there were faults of each kind", figures, violations)
}

pub(super) fn calm(evidence: &Evidence) -> Check {
    let (mut calms, mut violations) = (0, Vec::new());
    let mut recorded = None;
    for line in &evidence.log {
        match &line.event {
            Event::CalmBegins => recorded = Some(0),
            Event::Recorded(_) => recorded = recorded.map(|count| count + 1),
            Event::CalmEnds => {
                calms += 1;
                if recorded.take() == Some(0) {
                    violations.push(format!("nothing was recorded in calm {calms}"));
                }
            }
            _ => {}
        }
    }
    Check::new("runs got on in every calm between the faults", calms, violations)
}
