//! The verdict: what must hold, line by line.

mod checks;

use std::fmt::Display;

use crate::evidence::{Evidence, Found};
use crate::executions::{Executions, Findings, Step};
use crate::fault::{Party, What};

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
    let of_run = |found: &Found| -> Vec<(Step, (u64, Option<u64>))> {
        let entry = |entry| {
            let step = (found.run.id.clone(), Found::key(entry).to_owned());
            (step, (entry.epoch, Found::value(entry)))
        };
        found.journal.iter().filter(|entry| checks::is_step(entry)).map(entry).collect()
    };
    let recorded = evidence.found.iter().flat_map(of_run).collect();
    Executions::new(&evidence.log).compare(&recorded)
}

/// Everything that must hold, if each of these kinds of fault was to be.
pub(crate) fn judge(
    evidence: &Evidence,
    findings: &Findings,
    kinds: &[(What, Party)],
) -> Vec<Check> {
    vec![
        checks::created(evidence),
        checks::ended(evidence),
        checks::gapless(evidence),
        checks::once(evidence, findings),
        checks::outputs(evidence),
        checks::signals(evidence),
        checks::sleeps(evidence),
        checks::unchanged(evidence),
        checks::watched(evidence),
        checks::kept(findings),
        checks::repeated(findings),
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
