//! What is to be reached: each goal is one figure of the report, and a bound.

use std::fmt;

use serde_json::{Value, json};

use crate::options::Section;
use crate::report::{Report, digits};
use tenure_testkit::figures::Sample;

/// A goal, and what was reached.
pub(crate) struct Reached {
    goal: &'static Goal,
    figure: f64,
}

/// One of them.
struct Goal {
    what: &'static str,
    /// What it looks at; none if that was not measured.
    figure: fn(&Report) -> Option<f64>,
    bound: Bound,
    unit: &'static str,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
}

/// All of them, in the order of the sections.
const GOALS: &[Goal] = &[
    Goal {
        what: "soak: p99 of a run, the last minutes over the first",
        figure: |report| soaked(report, "load", "run p99 ms"),
        bound: Bound::AtMost(1.2),
        unit: "×",
    },
    Goal {
        what: "soak: what a run leaves in tables and indexes, the last minutes over the first",
        figure: |report| soaked(report, "load", "bytes/run"),
        bound: Bound::AtMost(1.2),
        unit: "×",
    },
    Goal {
        what: "soak: size of the tables that are queues, the last minutes over the first",
        figure: |report| soaked(report, "load", "queues KiB"),
        bound: Bound::AtMost(1.5),
        unit: "×",
    },
    Goal {
        what: "soak: p50 of a claim, the worst minute beside an idle transaction over before",
        figure: |report| {
            let held = report.rounds(Section::Soak, HELD, CLAIM)?.into_iter().reduce(f64::max)?;
            Some(held / before_it(report)?)
        },
        bound: Bound::AtMost(2.0),
        unit: "×",
    },
    Goal {
        what: "soak: p50 of a claim, the last minute after an idle transaction over before",
        figure: |report| {
            Some(report.rounds(Section::Soak, AFTER, CLAIM)?.last()? / before_it(report)?)
        },
        bound: Bound::AtMost(1.2),
        unit: "×",
    },
];

const HELD: &str = "beside an idle transaction";
const AFTER: &str = "after it";
const CLAIM: &str = "claim p50 ms";

/// What was reached of those goals whose figures were measured.
pub(crate) fn reached(report: &Report) -> Vec<Reached> {
    let reached = |goal: &'static Goal| Some(Reached { goal, figure: (goal.figure)(report)? });
    GOALS.iter().filter_map(reached).collect()
}

/// The median of the last five minutes over that of the first five; of the halves, if there are fewer.
fn soaked(report: &Report, row: &str, figure: &str) -> Option<f64> {
    let minutes = report.rounds(Section::Soak, row, figure)?;
    let few = (minutes.len() / 2).min(5);
    let (first, last) = (minutes.get(..few)?, minutes.get(minutes.len() - few..)?);
    (few > 0).then(|| median(last) / median(first))
}

/// How fast claims were in the last minutes before the idle transaction.
fn before_it(report: &Report) -> Option<f64> {
    let minutes = report.rounds(Section::Soak, "load", CLAIM)?;
    Some(median(&minutes[minutes.len().saturating_sub(3)..]))
}

fn median(values: &[f64]) -> f64 {
    Sample::of(values.iter().copied()).median()
}

impl Reached {
    fn is_met(&self) -> bool {
        match self.goal.bound {
            Bound::AtMost(most) => self.figure <= most,
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let Goal { what, bound, unit, .. } = self.goal;
        let (name, bound) = bound.parts();
        json!({ "goal": what, "met": self.is_met(), "figure": self.figure, name: bound, "unit": unit })
    }
}

impl Bound {
    fn parts(self) -> (&'static str, f64) {
        match self {
            Self::AtMost(most) => ("at most", most),
        }
    }
}

/// For people.
impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Goal { what, bound, unit, .. } = self.goal;
        let verdict = if self.is_met() { "met    " } else { "not met" };
        let (name, bound) = bound.parts();
        write!(f, "{verdict}  {what}: {} {unit}, {name} {bound} {unit}", digits(self.figure))
    }
}
