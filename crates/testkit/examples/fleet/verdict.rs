//! The verdict: what must hold, line by line.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use tenure_sdk::v1;

use crate::figures::Times;
use crate::ledger::{Known, Ledger, Tally};
use crate::log::{Event, Line};
use crate::progress::{Delay, delays};

/// One thing that must hold.
pub(crate) struct Check {
    what: String,
    figures: String,
    violations: Vec<String>,
}

/// Violations of one check that are printed.
const PRINTED: usize = 5;

impl Check {
    pub(crate) fn new(
        what: impl Into<String>,
        figures: impl Into<String>,
        violations: Vec<String>,
    ) -> Self {
        Self { what: what.into(), figures: figures.into(), violations }
    }
}

/// Prints the verdict; whether everything held.
pub(crate) fn pronounce(checks: &[Check]) -> bool {
    for Check { what, figures, violations } in checks {
        let word = if violations.is_empty() { "met" } else { "NOT MET" };
        println!("  {word}: {what}: {figures}");
        for violation in violations.iter().take(PRINTED) {
            println!("      {violation}");
        }
        if violations.len() > PRINTED {
            println!("      and {} more", violations.len() - PRINTED);
        }
    }
    checks.iter().all(|check| check.violations.is_empty())
}

/// Every acknowledged run has succeeded, with what it had to give.
pub(crate) fn succeeded(ledger: &Ledger) -> Check {
    let wrong: Vec<_> = ledger.runs.values().filter_map(wrong).collect();
    let (all, well) = (ledger.runs.len(), ledger.runs.len() - wrong.len());
    Check::new(
        "every acknowledged run succeeds, with the right output",
        format!("{well} of {all}"),
        wrong,
    )
}

fn wrong(known: &Known) -> Option<String> {
    let Some(run) = &known.ended else { return Some(format!("{} has not ended", known.id)) };
    let output = run.output.clone().unwrap_or_default().data;
    let gives = serde_json::from_slice::<Vec<u64>>(&output).ok();
    if run.state() == v1::RunState::Succeeded && gives.as_ref() == Some(&known.output) {
        return None;
    }
    Some(format!("{} is {:?} with {gives:?}: {:?}", known.id, run.state(), run.failure))
}

/// No call failed for good.
pub(crate) fn healed(ledger: &Ledger) -> Check {
    let sum = |count: fn(&Tally) -> usize| ledger.calls.values().map(count).sum::<usize>();
    let (calls, healed) = (sum(|tally| tally.calls), sum(|tally| tally.healed));
    Check::new(
        "no client call fails that a retry does not heal",
        format!("{calls} calls, {healed} failed at first"),
        ledger.problems.clone(),
    )
}

/// No run stood still for longer than this.
pub(crate) fn steady(ledger: &Ledger, bound: Duration) -> Check {
    let mut delays = delays(ledger);
    delays.sort_by_key(|delay| Reverse(delay.length));
    let times = Times::of(delays.iter().map(|delay| delay.length));
    let (p50, p99) = (times.percentile(50), times.percentile(99));
    let most = delays.first().map(Delay::to_string).unwrap_or_default();
    let late = delays.iter().filter(|delay| delay.length > bound);
    Check::new(
        format!("no run is delayed by more than a lease and its takeover, {bound:?}"),
        format!("p50 {p50:.0?}, p99 {p99:.0?}, most {most}"),
        late.map(Delay::to_string).collect(),
    )
}

/// No step was executed more than once.
pub(crate) fn once(log: &[Line]) -> Check {
    let mut executions: HashMap<(&str, &str), usize> = HashMap::new();
    for line in log {
        if let Event::Executed(key) = &line.event {
            *executions.entry((&line.run, key)).or_default() += 1;
        }
    }
    let twice = executions.iter().filter(|(_, count)| **count > 1);
    let twice: Vec<_> =
        twice.map(|((run, key), count)| format!("{key} of {run}: {count} times")).collect();
    let (all, steps) = (executions.values().sum::<usize>(), executions.len());
    Check::new("nothing is executed twice", format!("{all} executions of {steps} steps"), twice)
}

/// No worker has lost a lease: those that are given back do not count.
pub(crate) fn kept(ledger: &Ledger) -> Check {
    let ended = ledger.runs.values().filter_map(|known| known.ended.as_ref());
    let lost = ended.filter(|run| run.attempts > 1);
    let lost: Vec<_> = lost.map(|run| format!("{}: {} attempts", run.id, run.attempts)).collect();
    Check::new("no lease is lost", format!("{} were", lost.len()), lost)
}
