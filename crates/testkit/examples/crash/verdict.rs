//! The verdict: what must hold, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use tenure_sdk::v1;

use crate::agent;
use crate::chaos::CONTROL_PLANE_KILLS;
use crate::evidence::{Evidence, Found};
use crate::executions::{Executions, Findings};
use crate::log::Event;
use crate::memory::Memory;
use crate::runs::Runs;

/// One thing that must hold.
struct Check {
    what: &'static str,
    figures: String,
    violations: Vec<String>,
}

/// Violations of one check that are printed.
const PRINTED: usize = 5;

/// Prints the verdict; whether everything held.
pub(crate) fn pronounce(evidence: &Evidence, runs: &Runs, memory: &Memory) -> bool {
    let findings = Executions::new(&evidence.events).compare(&recorded(evidence));
    let checks = [
        created(evidence, runs),
        succeeded(evidence),
        gapless(evidence, memory),
        once(evidence, &findings),
        outputs(evidence),
        unchanged(memory),
        Check {
            what: "no result that a worker was told is recorded was lost",
            figures: format!("{} were recorded although nobody lived to be told", findings.untold),
            violations: findings.lost.clone(),
        },
        repeated(&findings),
        killed(evidence),
    ];
    for Check { what, figures, violations } in &checks {
        println!("  {} {what}: {figures}", if violations.is_empty() { '✓' } else { '✗' });
        for violation in violations.iter().take(PRINTED) {
            println!("      {violation}");
        }
        if violations.len() > PRINTED {
            println!("      and {} more", violations.len() - PRINTED);
        }
    }
    checks.iter().all(|check| check.violations.is_empty())
}

/// Epoch and result of every recorded step.
fn recorded(evidence: &Evidence) -> BTreeMap<(String, String), (u64, Option<u64>)> {
    let of_run = |found: &Found| {
        let id = found.run.id.clone();
        let entry = |entry: &v1::Entry| {
            let step = (id.clone(), Found::key(entry).to_owned());
            (step, (entry.epoch, Found::value(entry)))
        };
        found.journal.iter().map(entry).collect::<Vec<_>>()
    };
    evidence.found.iter().flat_map(of_run).collect()
}

fn created(evidence: &Evidence, runs: &Runs) -> Check {
    let (wanted, acknowledged) = (runs.wanted, evidence.found.len());
    let mut violations = runs.problems();
    let ids: BTreeSet<&str> = evidence.found.iter().map(|found| found.run.id.as_str()).collect();
    if ids.len() != wanted || evidence.listed != wanted {
        let (different, listed) = (ids.len(), evidence.listed);
        violations.push(format!("{different} different runs acknowledged, {listed} there"));
    }
    let (unknown, repeated) =
        (runs.unknown.load(Ordering::Relaxed), runs.repeated.load(Ordering::Relaxed));
    Check {
        what: "every request made one run",
        figures: format!(
            "{acknowledged} of {wanted}; {unknown} sent again because the outcome was unknown, \
             {repeated} although it was known"
        ),
        violations,
    }
}

fn succeeded(evidence: &Evidence) -> Check {
    let not = |found: &&Found| found.run.state() != v1::RunState::Succeeded;
    let describe = |found: &Found| {
        let run = &found.run;
        format!("{} is {:?} after {} leases: {:?}", run.id, run.state(), run.attempts, run.failure)
    };
    let violations: Vec<String> = evidence.found.iter().filter(not).map(describe).collect();
    let all = evidence.found.len();
    Check {
        what: "every acknowledged run succeeded",
        figures: format!("{} of {all}", all - violations.len()),
        violations,
    }
}

fn gapless(evidence: &Evidence, memory: &Memory) -> Check {
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
        let (there, seen) = (journal.len(), memory.count(&run.id));
        if there as u64 != run.entries || there < seen {
            let told = run.entries;
            violations.push(format!("{}: {there} entries of {told}, {seen} seen", run.id));
        }
    }
    Check {
        what: "every journal has each seq once, and its epochs never fall",
        figures: format!("{entries} entries in {} journals", evidence.found.len()),
        violations,
    }
}

fn once(evidence: &Evidence, findings: &Findings) -> Check {
    let mut expected = agent::keys();
    expected.sort_unstable();
    let mut violations = findings.unproduced.clone();
    for Found { run, journal } in &evidence.found {
        let mut keys: Vec<&str> = journal.iter().map(Found::key).collect();
        keys.sort_unstable();
        if keys != expected {
            violations.push(format!("{}: {keys:?}", run.id));
        }
    }
    Check {
        what: "each step is recorded once, with a result that an execution of it gave",
        figures: format!("{} steps in each run", expected.len()),
        violations,
    }
}

fn outputs(evidence: &Evidence) -> Check {
    let wrong = |found: &&Found| {
        let output = found.run.output.as_ref();
        let output = output.and_then(|output| serde_json::from_slice::<u64>(&output.data).ok());
        output != Some(agent::output(found.journal.iter().filter_map(Found::value)))
    };
    let violations: Vec<String> =
        evidence.found.iter().filter(wrong).map(|found| found.run.id.clone()).collect();
    Check {
        what: "every output is made of the recorded results",
        figures: format!("{} of {}", evidence.found.len() - violations.len(), evidence.found.len()),
        violations,
    }
}

fn unchanged(memory: &Memory) -> Check {
    let (compared, violations) = memory.changes();
    Check {
        what: "no recorded entry changed",
        figures: format!("{compared} were read again and compared"),
        violations,
    }
}

fn repeated(findings: &Findings) -> Check {
    let Findings { total, steps_repeated, by_worker, by_control_plane, unexplained, .. } = findings;
    Check {
        what: "only steps in flight at a kill were executed more than once",
        figures: format!(
            "{steps_repeated} steps, {} of {total} executions repeat another ({by_worker} after \
             the kill of their worker, {by_control_plane} of the control plane)",
            by_worker + by_control_plane + unexplained.len(),
        ),
        violations: unexplained.clone(),
    }
}

fn killed(evidence: &Evidence) -> Check {
    let count = |is: fn(&Event) -> bool| evidence.events.iter().filter(|event| is(event)).count();
    let workers = count(|event| matches!(event, Event::WorkerKilled(_)));
    let control_planes = count(|event| matches!(event, Event::OutageEnds));
    let again = |found: &Found| u64::from(found.run.attempts.saturating_sub(1));
    let takeovers: u64 = evidence.found.iter().map(again).sum();
    let mut violations = Vec::new();
    if control_planes != CONTROL_PLANE_KILLS || workers == 0 {
        violations.push("too few kills to say anything".to_owned());
    }
    Check {
        what: "there were kills",
        figures: format!(
            "{workers} of workers, {control_planes} of the control plane; {takeovers} takeovers"
        ),
        violations,
    }
}
