//! What it came to, in figures.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::evidence::{Evidence, Found};
use crate::executions::Findings;
use crate::fault::{Fault, Party, What};
use crate::log::Event;
use crate::recovery;

type Counts = BTreeMap<(Party, What), usize>;

/// Prints the figures.
pub(crate) fn print(evidence: &Evidence, findings: &Findings) {
    println!("  faults: {}", table(&faults(evidence)));
    println!("  takeovers: {}", takeovers(evidence));
    println!(
        "  executed twice: {} steps in flight of {} executions; the first in vain because of {}",
        findings.steps_repeated,
        findings.total,
        table(&findings.in_vain)
    );
    let waits = recovery::waits(&evidence.log);
    if let (Some(median), Some(worst)) = (waits.get(waits.len() / 2), waits.last()) {
        println!(
            "  from the kill or freeze of a worker until its run goes on elsewhere: median {}, worst {}, of {}",
            seconds(*median),
            seconds(*worst),
            waits.len()
        );
    }
}

fn faults(evidence: &Evidence) -> Counts {
    let mut counts = Counts::new();
    for line in &evidence.log {
        if let Event::FaultBegins(_, Fault { what, whom, .. }) = line.event {
            *counts.entry((whom, what)).or_default() += 1;
        }
    }
    counts
}

/// Leases that were lost: those that were taken up, without the last.
fn takeovers(evidence: &Evidence) -> u64 {
    let lost = |found: &Found| u64::from(found.run.attempts.saturating_sub(1));
    evidence.found.iter().map(lost).sum()
}

fn table(counts: &Counts) -> String {
    let mut of_party: BTreeMap<Party, Vec<String>> = BTreeMap::new();
    for ((whom, what), count) in counts {
        of_party.entry(*whom).or_default().push(format!("{count} {what}"));
    }
    let party = |(whom, what): (&Party, &Vec<String>)| format!("{whom}: {}", what.join(", "));
    let parties: Vec<String> = of_party.iter().map(party).collect();
    if parties.is_empty() { "none".into() } else { parties.join("; ") }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
