//! The checks of runs as a whole, of what was seen of them, and of the test itself.

use std::collections::BTreeSet;

use tenure_sdk::v1;

use super::Check;
use crate::evidence::{Evidence, Found};
use crate::executions::Findings;
use crate::fault::{Party, What};
use crate::log::Event;
use crate::program::{End, ON_PURPOSE};
use crate::world::Onces;

pub(super) fn created(evidence: &Evidence) -> Check {
    let Evidence { ledger, found, listed, .. } = evidence;
    let mut violations = ledger.problems.clone();
    let asked = found.iter().filter(|found| !found.is_called());
    let ids: BTreeSet<&str> = asked.map(|found| found.run.id.as_str()).collect();
    let there = listed.iter().filter(|run| run.parent.is_empty()).count();
    if ids.len() != ledger.created || there != ledger.created {
        let different = ids.len();
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
    let cancelled: BTreeSet<&str> = evidence
        .found
        .iter()
        .filter(|found| found.run.state() == v1::RunState::Cancelled)
        .map(|found| &*found.run.id)
        .collect();
    let well = |found: &&Found| match found.run.state() {
        v1::RunState::Succeeded => found.program().end == End::Succeeds,
        v1::RunState::Failed => {
            let code = found.run.failure.as_ref().map(|failure| &*failure.code);
            found.program().end == End::Fails && code == Some(ON_PURPOSE)
        }
        v1::RunState::Cancelled => {
            let run = &found.run;
            evidence.ledger.cancelled.contains(&run.id) || cancelled.contains(&*run.parent)
        }
        _ => false,
    };
    let describe = |Found { run, .. }: &Found| {
        format!("{} is {:?} after {} leases: {:?}", run.id, run.state(), run.attempts, run.failure)
    };
    let bad = evidence.found.iter().filter(|found| !well(found));
    let mut violations: Vec<String> = bad.map(describe).collect();
    let (all, called) =
        (evidence.found.len(), evidence.found.iter().filter(|found| found.is_called()).count());
    let good = all - violations.len();
    let open = evidence.listed.iter().filter(|run| run.ended_at.is_none());
    violations.extend(open.map(|run| format!("{} is left without an end", run.id)));
    Check::new(
        "every run ended as it was to",
        format!("{good} of {all}, {called} of them called by others"),
        violations,
    )
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

pub(super) fn doubted(onces: &Onces) -> Check {
    Check::new(
        "what must not happen twice happened once, and was executed again only after a decision",
        format!(
            "{} steps; {} doubts, {} decided to do it again",
            onces.steps, onces.doubts, onces.again
        ),
        onces.violations.clone(),
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
