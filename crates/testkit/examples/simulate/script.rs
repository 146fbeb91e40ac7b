//! The code of a run, as data: a small program that chance writes for each run.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::Name;

use crate::dice::Dice;

/// What a run does.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) parts: Parts,
    pub(crate) end: End,
}

/// One thing after the other.
pub(crate) type Parts = Arc<[Part]>;

#[derive(Debug)]
pub(crate) enum Part {
    /// Work that takes this long.
    Step {
        name: &'static str,
        takes: Duration,
        fails: bool,
    },
    /// A wait for the next signal of this name.
    Wait(Name),
    Sleep(Duration),
    /// At the same time, each in a scope of its own.
    Branches(Vec<Parts>),
}

/// How the code ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Succeed,
    Fail,
    /// It asks for another attempt until it has had so many.
    SucceedAfter(u32),
}

/// Few names, so that equals in one scope are common.
const STEPS: [&str; 3] = ["plan", "search", "write"];
const SIGNALS: [&str; 2] = ["go", "stop"];

impl Script {
    /// A script by chance.
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let len = dice.number(2, 6);
        let parts = parts(dice, len, 2);
        let end = match dice.number(0, 9) {
            0 => End::Fail,
            1 => End::SucceedAfter(dice.number(1, 2)),
            _ => End::Succeed,
        };
        Self { parts, end }
    }

    /// The signals that the code waits for, one for each wait.
    pub(crate) fn signals(&self) -> Vec<Name> {
        let mut found = Vec::new();
        collect(&self.parts, &mut found);
        found
    }
}

fn collect(parts: &[Part], found: &mut Vec<Name>) {
    for part in parts {
        match part {
            Part::Wait(name) => found.push(name.clone()),
            Part::Branches(branches) => {
                for branch in branches {
                    collect(branch, found);
                }
            }
            Part::Step { .. } | Part::Sleep(_) => {}
        }
    }
}

fn parts(dice: &mut Dice, len: u32, depth: u32) -> Parts {
    (0..len).map(|_| part(dice, depth)).collect()
}

fn part(dice: &mut Dice, depth: u32) -> Part {
    match dice.number(0, 19) {
        0..=3 => Part::Wait(signal(dice)),
        4..=5 => Part::Sleep(nap(dice)),
        10..=11 if depth > 0 => beside_a_nap(dice),
        6..=9 if depth > 0 => {
            let branch = |_| {
                let len = dice.number(1, 3);
                parts(dice, len, depth - 1)
            };
            Part::Branches((0..2).map(branch).collect())
        }
        _ => step(dice),
    }
}

/// A sleep that ends in the worker, because a step beside it keeps the run from being parked. So
/// something begins although nobody has been heard for a while.
fn beside_a_nap(dice: &mut Dice) -> Part {
    let long = Part::Step { name: "wait", takes: dice.millis(5_000, 25_000), fails: false };
    let nap = Part::Sleep(dice.millis(2_000, 20_000));
    let then = step(dice);
    Part::Branches(vec![Arc::new([long]), Arc::new([nap, then])])
}

fn step(dice: &mut Dice) -> Part {
    let name = STEPS[dice.place(STEPS.len())];
    // Most are short; some take longer than a lease.
    let takes = if dice.chance(200) { dice.millis(1_000, 15_000) } else { dice.millis(1, 800) };
    Part::Step { name, takes, fails: dice.chance(100) }
}

/// Short ones are slept in the worker, long ones in the queue.
fn nap(dice: &mut Dice) -> Duration {
    if dice.chance(400) { dice.millis(0, 2_000) } else { dice.millis(2_000, 30_000) }
}

/// One of the names that signals have.
pub(crate) fn signal(dice: &mut Dice) -> Name {
    let name = SIGNALS[dice.place(SIGNALS.len())];
    name.parse().expect("a name as the constants above have it")
}
