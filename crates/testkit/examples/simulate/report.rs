//! Simulates seeds, says what happened, and how to see a violation again.

use std::io::{IsTerminal as _, Write as _};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::figures::Figures;
use crate::guard::Guard;
use crate::options::Options;
use crate::oracle::Violation;
use crate::simulation::{Outcome, simulate};

/// Lines about the run in question that are printed.
const LAST: usize = 60;
/// Seeds between two lines of progress, where there is no terminal to write over.
const PROGRESS: u64 = 100;

/// Simulates one seed; whether everything held.
pub(crate) fn one(seed: u64, options: Options) -> bool {
    let Outcome { figures, digest, violation, lines } = simulate(seed, options.without, true);
    if options.trace {
        for line in &lines {
            println!("{}", line.text);
        }
    }
    println!("simulate: seed {seed}, digest {digest:.12}\n{figures}", digest = digest.to_string());
    match violation {
        None => true,
        Some(violation) => {
            let about = lines.iter().filter(|line| line.run.is_none() || line.run == violation.run);
            let about: Vec<_> = about.collect();
            println!("{}", sentence(seed, &violation));
            if !options.trace {
                let from = about.len().saturating_sub(LAST);
                about[from..].iter().for_each(|line| println!("  {}", line.text));
            }
            println!("{}", command(seed, options.without));
            false
        }
    }
}

/// Simulates many seeds; whether everything held in all of them.
pub(crate) fn many(first: u64, seeds: u64, options: Options) -> bool {
    let begun = Instant::now();
    let range = first..first.saturating_add(seeds);
    let Found { figures, violations } = sweep(range, options.without, |done| progress(done, seeds));
    let time = begun.elapsed();
    println!("simulate: {seeds} seeds in {time:.1?}, {} violations\n{figures}", violations.len());
    for (seed, violation) in &violations {
        println!("{}\n{}", sentence(*seed, violation), command(*seed, options.without));
    }
    if let Some((seed, _)) = violations.first() {
        println!();
        one(*seed, options);
    }
    violations.is_empty()
}

/// What several simulations found.
pub(crate) struct Found {
    pub(crate) figures: Figures,
    /// By seed.
    pub(crate) violations: Vec<(u64, Violation)>,
}

/// Simulates these seeds, each on one thread, several at a time; `tell` hears how many are done.
pub(crate) fn sweep(seeds: Range<u64>, without: Option<Guard>, tell: impl Fn(u64) + Sync) -> Found {
    let next = AtomicU64::new(seeds.start);
    let done = AtomicU64::new(0);
    let found = Mutex::new(Found { figures: Figures::default(), violations: Vec::new() });
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = simulate(seed, without, false);
            if let Ok(mut found) = found.lock() {
                found.figures += outcome.figures;
                found.violations.extend(outcome.violation.map(|violation| (seed, violation)));
            }
            tell(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let mut found = found.into_inner().expect("a simulation does not panic");
    found.violations.sort_by_key(|(seed, _)| *seed);
    found
}

fn progress(done: u64, seeds: u64) {
    let terminal = std::io::stderr().is_terminal();
    if terminal {
        eprint!("\r{done} of {seeds} seeds");
        let _ = std::io::stderr().flush();
    }
    if !terminal && done.is_multiple_of(PROGRESS) || done == seeds {
        eprintln!("{}{done} of {seeds} seeds", if terminal { "\r" } else { "" });
    }
}

/// The violation as a sentence.
pub(crate) fn sentence(seed: u64, violation: &Violation) -> String {
    let Violation { rule, run, what } = violation;
    let run = run.map(|run| format!(", run {run}")).unwrap_or_default();
    format!("VIOLATION of {rule} in seed {seed}{run}: {what}")
}

fn command(seed: u64, without: Option<Guard>) -> String {
    use clap::ValueEnum as _;
    let without = without.and_then(|guard| guard.to_possible_value());
    let without = without.map(|guard| format!(" --without {}", guard.get_name()));
    format!("again: scripts/simulate --seed {seed} --trace{}", without.unwrap_or_default())
}
