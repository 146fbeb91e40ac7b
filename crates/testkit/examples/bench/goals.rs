//! What is to be reached: each goal is one figure of the report, and a bound.

use std::fmt;

use serde_json::{Value, json};

use tenure_testkit::figures::Sample;

use crate::crowd::plans::{BLOCKS, BLOCKS_FOR_ANY};
use crate::options::Section;
use crate::report::{Report, digits};
use crate::soak;

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
    AtLeast(f64),
}
use Bound::{AtLeast, AtMost};

/// All of them, in the order of the sections.
const GOALS: &[Goal] = &[
    Goal {
        what: "steps: p50 of one run at a time over a bare commit of one row",
        figure: |report| report.ratio(Section::Steps, "a step", "a bare commit", P50),
        bound: AtMost(3.0),
        unit: "×",
    },
    Goal {
        what: "throughput: 64 × 10 steps over this benchmark's own bare reference",
        figure: |report| of_the_floor(report, 64),
        bound: AtLeast(0.6),
        unit: "×",
    },
    Goal {
        what: "throughput: 512 × 10 steps over this benchmark's own bare reference",
        figure: |report| of_the_floor(report, 512),
        bound: AtLeast(0.6),
        unit: "×",
    },
    Goal {
        what: "throughput: processor time of control plane and PostgreSQL for a step, 512 × 10",
        figure: |report| {
            let rounds =
                |figure| report.rounds(Section::Throughput, "tenure, 512 × 10 steps", figure);
            let both = rounds("plane µs")?.into_iter().zip(rounds("PG µs")?);
            Some(median(&both.map(|(plane, postgres)| plane + postgres).collect::<Vec<_>>()))
        },
        bound: AtMost(40.0),
        unit: "µs",
    },
    Goal {
        what: "dispatch: p50 from creation to the first user code, idle system",
        figure: |report| report.median(Section::Dispatch, "empty, first user code", P50),
        bound: AtMost(2.0),
        unit: "ms",
    },
    Goal {
        what: "dispatch: the same beside another tenant's queue over the idle system",
        figure: |report| beside_the_queue(report, "first user code", P50),
        bound: AtMost(1.5),
        unit: "×",
    },
    Goal {
        what: "dispatch: p99 with the queue's tenant at its cap over the same without a queue",
        figure: |report| beside_the_queue(report, "one polls both, cap reached", "p99 ms"),
        bound: AtMost(2.0),
        unit: "×",
    },
    Goal {
        what: "dispatch: p99 with 12 of 16 workers busy with the queue over the same without it",
        figure: |report| beside_the_queue(report, "16 poll both, 12 busy by cap", "p99 ms"),
        bound: AtMost(2.0),
        unit: "×",
    },
    Goal {
        what: "dispatch: p99 of runs that go before, when all 16 workers are busy with the queue",
        figure: |report| {
            report.median(Section::Dispatch, "crowd, 16 poll both, all busy", "passed by, p99")
        },
        bound: AtMost(16.0),
        unit: "runs",
    },
    Goal {
        what: "dispatch: blocks that any statement of the queue and its sweeps reads",
        figure: |report| most_blocks(report, Section::Dispatch),
        bound: AtMost(MOST_BLOCKS),
        unit: "blocks",
    },
    Goal {
        what: "waiting: processor time of control plane and PostgreSQL for all parked runs, a second",
        figure: |report| above_nothing(report, "both ms/s"),
        bound: AtMost(10.0),
        unit: "ms",
    },
    Goal {
        what: "waiting: memory of the control plane for all parked runs",
        figure: |report| above_nothing(report, "plane MiB"),
        bound: AtMost(4.0),
        unit: "MiB",
    },
    Goal {
        what: "waiting: memory of a worker for all parked runs",
        figure: |report| above_nothing(report, "worker MiB"),
        bound: AtMost(4.0),
        unit: "MiB",
    },
    Goal {
        what: "waiting: 1,000 woken by answers among all parked runs over 1,000 alone",
        figure: |report| woken(report, "answers"),
        bound: AtMost(1.5),
        unit: "×",
    },
    Goal {
        what: "waiting: 1,000 woken by timers among all parked runs over 1,000 alone",
        figure: |report| woken(report, "timers"),
        bound: AtMost(1.5),
        unit: "×",
    },
    Goal {
        what: "waiting: blocks that any statement of the queue and its sweeps reads",
        figure: |report| most_blocks(report, Section::Waiting),
        bound: AtMost(MOST_BLOCKS),
        unit: "blocks",
    },
    Goal {
        what: "herd: p99 until a run of another tenant starts while the herd wakes",
        figure: |report| report.median(Section::Herd, "another tenant, meanwhile", "p99 ms"),
        bound: AtMost(1_000.0),
        unit: "ms",
    },
    Goal {
        what: "herd: p99 until a run with a higher priority starts while the herd wakes",
        figure: |report| report.median(Section::Herd, "a higher priority, meanwhile", "p99 ms"),
        bound: AtMost(1_000.0),
        unit: "ms",
    },
    Goal {
        what: "herd: blocks that any statement of the queue and its sweeps reads",
        figure: |report| most_blocks(report, Section::Herd),
        bound: AtMost(MOST_BLOCKS),
        unit: "blocks",
    },
    Goal {
        what: "replay: an entry of the longest journal over one of a journal of 100",
        figure: |report| {
            let each = |row| report.median(Section::Replay, row, "µs an entry");
            let longest = each(LONGEST).or_else(|| each("10000 entries"))?;
            Some(longest / each("100 entries")?)
        },
        bound: AtMost(2.0),
        unit: "×",
    },
    Goal {
        what: "replay: memory of a worker for an entry of the longest journal, whose payload is 256",
        figure: |report| report.median(Section::Replay, LONGEST, "bytes an entry"),
        bound: AtMost(256.0),
        unit: "bytes",
    },
    Goal {
        what: "pollers: processor time of the control plane for 5,000 idle ones, a second",
        figure: |report| report.median(Section::Pollers, "5000 over 10", "plane ms/s"),
        bound: AtMost(50.0),
        unit: "ms",
    },
    Goal {
        what: "pollers: memory of the control plane for each of 5,000, over 10 connections",
        figure: |report| report.median(Section::Pollers, "5000 over 10", "KiB each"),
        bound: AtMost(30.0),
        unit: "KiB",
    },
    Goal {
        what: "pollers: memory of the control plane for each of 5,000, with a connection each",
        figure: |report| report.median(Section::Pollers, "5000 over 5000", "KiB each"),
        bound: AtMost(30.0),
        unit: "KiB",
    },
    Goal {
        what: "embedded: p50 of a run of three steps, from its creation to its end",
        figure: |report| report.median(Section::Embedded, "a run of 3 steps", P50),
        bound: AtMost(5.0),
        unit: "ms",
    },
    Goal {
        what: "turns: p50 from a model's answer to its next question, one conversation at a time",
        figure: |report| report.median(Section::Turns, "1 at a time", P50),
        bound: AtMost(5.0),
        unit: "ms",
    },
    Goal {
        what: "soak: p99 of a run, the last minutes over the first",
        figure: |report| last_over_first(report, "run p99 ms"),
        bound: AtMost(1.2),
        unit: "×",
    },
    Goal {
        what: "soak: what a run leaves in tables and indexes, the last minutes over the first",
        figure: |report| last_over_first(report, "bytes/run"),
        bound: AtMost(1.2),
        unit: "×",
    },
    Goal {
        what: "soak: size of the tables that are queues, the last minutes over the first",
        figure: |report| last_over_first(report, "queues KiB"),
        bound: AtMost(1.5),
        unit: "×",
    },
    Goal {
        what: "soak: p50 of a claim, the worst minute beside an idle transaction over before",
        figure: |report| {
            let held = report.rounds(Section::Soak, soak::HELD, CLAIM)?;
            Some(held.into_iter().reduce(f64::max)? / before_it(report)?)
        },
        bound: AtMost(2.0),
        unit: "×",
    },
    Goal {
        what: "soak: p50 of a claim, the last minute after an idle transaction over before",
        figure: |report| {
            let after = report.rounds(Section::Soak, soak::AFTER, CLAIM)?;
            Some(after.last()? / before_it(report)?)
        },
        bound: AtMost(1.2),
        unit: "×",
    },
];

const P50: &str = "p50 ms";
const CLAIM: &str = "claim p50 ms";
const LONGEST: &str = "99900 entries";
/// A statement that may look at more blocks than this is not bounded: the most rows that one is asked
/// for are 500, and each is at most in a block of its own, of the table and of an index.
const MOST_BLOCKS: f64 = 1_500.0;

/// What was reached of those goals whose figures were measured.
pub(crate) fn reached(report: &Report) -> Vec<Reached> {
    let reached = |goal: &'static Goal| Some(Reached { goal, figure: (goal.figure)(report)? });
    GOALS.iter().filter_map(reached).collect()
}

/// The product's steps a second over the bare reference's.
fn of_the_floor(report: &Report, concurrency: usize) -> Option<f64> {
    let row = |side| format!("{side}, {concurrency} × 10 steps");
    report.ratio(Section::Throughput, &row("tenure"), &row("floor"), "steps/s")
}

fn beside_the_queue(report: &Report, what: &str, figure: &str) -> Option<f64> {
    let row = |side| format!("{side}, {what}");
    report.ratio(Section::Dispatch, &row("crowd"), &row("empty"), figure)
}

/// What is more with the crowd than with nothing.
fn above_nothing(report: &Report, figure: &str) -> Option<f64> {
    let parked = |side| report.median(Section::Waiting, &format!("idle, {side} parked"), figure);
    Some(parked("crowd")? - parked("nothing")?)
}

/// Planned for its parameters, and for any.
fn most_blocks(report: &Report, section: Section) -> Option<f64> {
    let [planned, for_any] = [BLOCKS, BLOCKS_FOR_ANY].map(|figure| report.most(section, figure));
    Some(planned?.max(for_any?))
}

fn woken(report: &Report, cause: &str) -> Option<f64> {
    let row = |side| format!("1,000 woken by {cause}, {side} parked");
    report.ratio(Section::Waiting, &row("crowd"), &row("1,000"), "last ms")
}

/// The median of the last five minutes of load over that of the first five; of the halves, if there
/// are fewer.
fn last_over_first(report: &Report, figure: &str) -> Option<f64> {
    let minutes = report.rounds(Section::Soak, soak::LOAD, figure)?;
    let few = (minutes.len() / 2).min(5);
    let (first, last) = (minutes.get(..few)?, minutes.get(minutes.len() - few..)?);
    (few > 0).then(|| median(last) / median(first))
}

/// How fast claims were in the last minutes before the idle transaction.
fn before_it(report: &Report) -> Option<f64> {
    let minutes = report.rounds(Section::Soak, soak::LOAD, CLAIM)?;
    Some(median(&minutes[minutes.len().saturating_sub(3)..]))
}

fn median(values: &[f64]) -> f64 {
    Sample::of(values.iter().copied()).median()
}

impl Reached {
    fn is_met(&self) -> bool {
        match self.goal.bound {
            AtMost(most) => self.figure <= most,
            AtLeast(least) => self.figure >= least,
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
            Self::AtLeast(least) => ("at least", least),
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
