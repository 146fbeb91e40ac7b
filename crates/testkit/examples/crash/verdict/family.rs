//! The checks of runs that call others.

use std::collections::HashMap;

use tenure_sdk::v1;

use super::Check;
use crate::evidence::{Evidence, Found};
use crate::program::{self, End, Part};

pub(super) fn calls(evidence: &Evidence) -> Check {
    let mut called: HashMap<(&str, u64), Vec<&Found>> = HashMap::new();
    for found in evidence.found.iter().filter(|found| found.is_called()) {
        called.entry((&found.run.parent, found.input())).or_default().push(found);
    }
    let (mut calls, mut violations) = (0, Vec::new());
    for caller in &evidence.found {
        let (program, journal) = (caller.program(), caller.by_key());
        for place in program::places(&program.parts) {
            let Part::Call(input) = place.part else { continue };
            let Some(last) = journal.get(&*place.key) else { continue };
            calls += 1;
            let runs = called.remove(&(&*caller.run.id, *input)).unwrap_or_default();
            if let Some(problem) = problem(last, &runs) {
                violations.push(format!("{}: {} {problem}", caller.run.id, place.key));
            }
        }
    }
    let uncalled = called.values().flatten();
    violations.extend(uncalled.map(|found| format!("nobody has called {}", found.run.id)));
    Check::new(
        "each call made one run, and its end is what the caller was told",
        format!("{calls} calls"),
        violations,
    )
}

/// What is wrong with a call that has this last entry and made these runs. One that was cancelled in
/// time has made none.
fn problem(last: &v1::Entry, runs: &[&Found]) -> Option<String> {
    use v1::record::Status::{Failed, Succeeded};
    let end = match last.record.as_ref().and_then(|record| record.status.as_ref()) {
        Some(Succeeded(output)) => Some(Ok(&output.data)),
        Some(Failed(failure)) => Some(Err(&failure.code)),
        _ => None,
    };
    match (runs, end) {
        ([] | [_], None) => None,
        ([one], Some(end)) => {
            let run = &one.run;
            let was = match run.state() {
                v1::RunState::Succeeded => run.output.as_ref().map(|output| Ok(&output.data)),
                _ => run.failure.as_ref().map(|failure| Err(&failure.code)),
            };
            (was != Some(end)).then(|| format!("ended as {end:?}, and {} as {was:?}", run.id))
        }
        (runs, end) => Some(format!("made {} runs and ended as {end:?}", runs.len())),
    }
}

pub(super) fn cancels(evidence: &Evidence) -> Check {
    let cancelled = |run: &v1::Run| run.state() == v1::RunState::Cancelled;
    let runs: HashMap<&str, &Found> =
        evidence.found.iter().map(|found| (&*found.run.id, found)).collect();
    let (mut callees, mut violations) = (0, Vec::new());
    for id in &evidence.ledger.cancelled {
        if !runs.get(&**id).is_some_and(|found| cancelled(&found.run)) {
            violations.push(format!("{id} was cancelled and is not"));
        }
    }
    for found in evidence.found.iter().filter(|found| found.is_called()) {
        let caller = runs.get(&*found.run.parent);
        if !caller.is_some_and(|caller| cancelled(&caller.run)) {
            continue;
        }
        callees += 1;
        // Others may have come to their end before they heard of it.
        let survives = found.program().end == End::Never && !cancelled(&found.run);
        if survives || found.run.ended_at.is_none() {
            let (id, state, caller) = (&found.run.id, found.run.state(), &found.run.parent);
            violations.push(format!("{id} is {state:?}, and its caller {caller} was cancelled"));
        }
    }
    Check::new(
        "what was cancelled ended, and what it had called did not outlive it",
        format!("{} and {callees} that they had called", evidence.ledger.cancelled.len()),
        violations,
    )
}
