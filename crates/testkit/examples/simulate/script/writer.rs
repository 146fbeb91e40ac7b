//! Chance writes a script.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::{Concurrency, Policy, RetryPolicy};
use tenure_core::{Decision, Name, Question, QuestionKind};

use super::{End, Fails, Library, Part, Parts, Script, Terms};
use crate::dice::Dice;

/// Few names, so that equals in one scope are common.
const STEPS: [&str; 3] = ["plan", "search", "write"];
const SIGNALS: [&str; 2] = ["go", "stop"];
const KEYS: [&str; 2] = ["alice", "bob"];
const POLICIES: [Policy; 3] = [Policy::Queue, Policy::Reject, Policy::Replace];

/// Writes one script, and those that it calls.
pub(super) struct Writer<'w> {
    dice: &'w mut Dice,
    library: &'w mut Library,
    /// How many runs are above its run.
    level: u32,
}

impl<'w> Writer<'w> {
    pub(super) fn new(dice: &'w mut Dice, library: &'w mut Library) -> Self {
        Self { dice, library, level: 0 }
    }

    pub(super) fn script(&mut self) -> Script {
        let len = if self.level == 0 { self.dice.number(2, 6) } else { self.dice.number(1, 3) };
        let mut parts: Vec<Part> = (0..len).map(|_| self.part(2)).collect();
        // Calls that are made in the last moment.
        if self.level < 2 && self.dice.chance(200) {
            parts.push(self.call());
        }
        let end = match self.dice.number(0, 9) {
            0 => End::Fail,
            1 => End::SucceedAfter(self.dice.number(1, 2)),
            _ => End::Succeed,
        };
        let terms = if self.level == 0 { self.terms() } else { Terms::default() };
        Script { parts: parts.into(), end, terms }
    }

    fn parts(&mut self, len: u32, depth: u32) -> Parts {
        (0..len).map(|_| self.part(depth)).collect()
    }

    fn part(&mut self, depth: u32) -> Part {
        match self.dice.number(0, 39) {
            // Nobody sends signals to a run that another one has called.
            0..=5 if self.level == 0 => Part::Wait(signal(self.dice)),
            6..=8 => Part::Sleep(self.nap()),
            9..=13 if depth > 0 => self.branches(depth - 1),
            14..=16 if depth > 0 => self.beside_a_nap(),
            17..=20 => self.ask(),
            21..=24 if self.level < 2 => self.call(),
            25..=29 => self.once(),
            30 => Part::Stuck,
            _ => self.step(),
        }
    }

    fn branches(&mut self, depth: u32) -> Part {
        let mut branch = |_| {
            let len = self.dice.number(1, 3);
            self.parts(len, depth)
        };
        Part::Branches((0..2).map(&mut branch).collect())
    }

    /// A sleep that ends in the worker, because a step beside it keeps the run from being parked. So
    /// something begins although nobody has been heard for a while.
    fn beside_a_nap(&mut self) -> Part {
        let takes = self.dice.millis(5_000, 25_000);
        let long = Part::Step { name: "wait", takes, fails: Fails::Never };
        let nap = Part::Sleep(self.dice.millis(2_000, 20_000));
        let then = self.step();
        Part::Branches(vec![Arc::new([long]), Arc::new([nap, then])])
    }

    fn step(&mut self) -> Part {
        let fails = match self.dice.number(0, 19) {
            0..=1 => Fails::Always,
            2 => Fails::First(self.dice.place(2) + 1),
            _ => Fails::Never,
        };
        Part::Step { name: self.name(), takes: self.takes(), fails }
    }

    fn once(&mut self) -> Part {
        Part::Once { name: self.name(), takes: self.takes(), finds_out: self.dice.chance(600) }
    }

    fn name(&mut self) -> &'static str {
        STEPS[self.dice.place(STEPS.len())]
    }

    /// Most are short; some take longer than a lease.
    fn takes(&mut self) -> Duration {
        let long = self.dice.chance(200);
        if long { self.dice.millis(1_000, 15_000) } else { self.dice.millis(1, 800) }
    }

    /// Short ones are slept in the worker, long ones in the queue.
    fn nap(&mut self) -> Duration {
        let short = self.dice.chance(400);
        if short { self.dice.millis(0, 2_000) } else { self.dice.millis(2_000, 30_000) }
    }

    fn ask(&mut self) -> Part {
        let timeout = self.dice.chance(600).then(|| self.dice.millis(500, 20_000));
        let default = self.dice.chance(500).then_some(Decision::Reject);
        let kind = QuestionKind::ALL[self.dice.place(QuestionKind::ALL.len())];
        let title = ["may-i", "what"][self.dice.place(2)].to_owned();
        Part::Ask(Question { kind, title, timeout, default, ..Question::default() })
    }

    fn call(&mut self) -> Part {
        let level = self.level + 1;
        let called = Writer { dice: self.dice, library: self.library, level }.script();
        let there = self.library.len();
        self.library.push(Arc::new(called));
        // At times there is no such agent.
        let script = if self.dice.chance(30) { usize::MAX } else { there };
        let detached = self.dice.chance(200);
        Part::Call { script, detached, awaited: self.dice.chance(800) }
    }

    fn terms(&mut self) -> Terms {
        let retry = RetryPolicy {
            limit: self.dice.number(0, 3),
            backoff: self.dice.millis(100, 2_000),
            max_backoff: Duration::from_secs(3),
        };
        let concurrency = self.dice.chance(300).then(|| Concurrency {
            key: KEYS[self.dice.place(KEYS.len())].to_owned(),
            policy: POLICIES[self.dice.place(POLICIES.len())],
        });
        let timeout = self.dice.chance(100).then(|| self.dice.millis(5_000, 60_000));
        Terms { retry, priority: priority(self.dice), timeout, concurrency }
    }
}

fn priority(dice: &mut Dice) -> i32 {
    [-1, 0, 0, 5][dice.place(4)]
}

/// One of the names that signals have.
pub(crate) fn signal(dice: &mut Dice) -> Name {
    let name = SIGNALS[dice.place(SIGNALS.len())];
    name.parse().expect("a name as the constants above have it")
}
