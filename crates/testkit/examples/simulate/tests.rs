//! The simulation as a test: the rules hold, a seed repeats itself, and the oracle sees what is wrong.

use clap::ValueEnum as _;

use crate::SEEDS;
use crate::guard::Guard;
use crate::report::{Found, sentence, sweep};
use crate::simulation::simulate;

/// Within so many seeds the oracle notices a guard that is missing. Most take one or two.
const ENOUGH: u64 = 1_000;

fn held(found: &Found) -> Vec<String> {
    found.violations.iter().map(|(seed, violation)| sentence(*seed, violation)).collect()
}

#[test]
fn everything_holds_whatever_goes_wrong() {
    let found = sweep(0..SEEDS, None, |_| {});
    println!("{}", found.figures);
    assert_eq!(held(&found), Vec::<String>::new());
    let figures = found.figures;
    // A simulation in which nothing happens breaks nothing.
    let some = [
        figures.succeeded,
        figures.failed,
        figures.cancelled,
        figures.crashes,
        figures.freezes,
        figures.partitions,
        figures.outages,
        figures.clock_jumps,
        figures.drains,
        figures.takeovers,
        figures.repeated,
        figures.recognised,
        figures.fenced,
        figures.parked,
        figures.called,
        figures.answered,
        figures.late_answers,
        figures.timed_out,
        figures.doubts,
        figures.paused,
        figures.patched,
        figures.turns,
        figures.retried,
    ];
    assert!(some.iter().all(|count| *count > SEEDS / 10), "too little happened:\n{figures}");
}

#[test]
fn the_same_seed_is_the_same_simulation() {
    let digests: Vec<_> = (0..8).map(|seed| simulate(seed, None, false).digest).collect();
    for (seed, digest) in (0..).zip(&digests) {
        // Keeping what happens changes nothing of it.
        assert_eq!(simulate(seed, None, true).digest, *digest, "seed {seed}");
    }
    assert!(digests.windows(2).all(|two| two[0] != two[1]), "all seeds are the same one");
}

#[test]
fn a_missing_guard_is_noticed() {
    for guard in Guard::value_variants() {
        let noticed = (0..ENOUGH).find_map(|seed| {
            let violation = simulate(seed, Some(*guard), false).violation?;
            Some(sentence(seed, &violation))
        });
        let noticed = noticed.unwrap_or_else(|| panic!("nobody misses the guard {guard:?}"));
        println!("without {guard:?}: {noticed}");
    }
}
