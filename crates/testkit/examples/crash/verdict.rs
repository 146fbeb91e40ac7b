//! The verdict: what must hold, line by line.

mod checks;
mod family;
mod people;
mod results;

use std::collections::BTreeMap;
use std::fmt::Display;

use tenure_sdk::v1;

use crate::evidence::{Evidence, Found};
use crate::executions::{Executions, Findings, Step};
use crate::fault::{Party, What};
use crate::program;
use crate::world::{self, Onces};

/// One thing that must hold.
pub(crate) struct Check {
    what: &'static str,
    figures: String,
    violations: Vec<String>,
}

/// Violations of one check that are printed.
const PRINTED: usize = 5;

/// What the executions come to, beside what is recorded.
pub(crate) fn findings(evidence: &Evidence) -> Findings {
    Executions::new(&evidence.log).compare(&recorded(evidence, results::is_step))
}

/// The same for steps that must not happen twice.
pub(crate) fn onces(evidence: &Evidence) -> Onces {
    let recorded =
        recorded(evidence, |entry| program::is_once(Found::key(entry)) && !Found::opens(entry));
    world::judge(&evidence.world, &evidence.log, &recorded)
}

/// Epoch and result of these steps.
fn recorded(
    evidence: &Evidence,
    which: fn(&v1::Entry) -> bool,
) -> BTreeMap<Step, (u64, Option<u64>)> {
    let of_run = |found: &Found| -> Vec<(Step, (u64, Option<u64>))> {
        let entry = |entry| {
            let step = (found.run.id.clone(), Found::key(entry).to_owned());
            (step, (entry.epoch, Found::value(entry)))
        };
        found.journal.iter().filter(|entry| which(entry)).map(entry).collect()
    };
    evidence.found.iter().flat_map(of_run).collect()
}

/// Everything that must hold, if each of these kinds of fault was to be.
pub(crate) fn judge(
    evidence: &Evidence,
    findings: &Findings,
    onces: &Onces,
    kinds: &[(What, Party)],
) -> Vec<Check> {
    vec![
        checks::created(evidence),
        checks::ended(evidence),
        checks::gapless(evidence),
        results::once(evidence, findings),
        results::outputs(evidence),
        results::signals(evidence),
        results::sleeps(evidence),
        people::answers(evidence),
        people::closed(evidence),
        people::pauses(evidence),
        family::calls(evidence),
        family::cancels(evidence),
        checks::unchanged(evidence),
        checks::watched(evidence),
        checks::kept(findings),
        checks::repeated(findings),
        checks::doubted(onces),
        checks::faults(evidence, kinds),
        checks::calm(evidence),
    ]
}

/// Prints the verdict; whether everything held.
pub(crate) fn pronounce(checks: &[Check]) -> bool {
    for Check { what, figures, violations } in checks {
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

impl Check {
    fn new(what: &'static str, figures: impl Display, violations: Vec<String>) -> Self {
        Self { what, figures: figures.to_string(), violations }
    }
}

#[cfg(test)]
mod tests;
