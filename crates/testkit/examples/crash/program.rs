//! What a run does: a list of parts that its agent and input decide, so that the worker, the client
//! and the oracle know it alike.

mod answer;
mod draw;

use std::time::Duration;

pub(crate) use answer::{Answer, Ask};
pub(crate) use draw::of;
use tenure_sdk::v1;

/// The agent of the runs that the client creates.
pub(crate) const AGENT: &str = "crash";
/// The agent of the runs that other runs call.
pub(crate) const CALLED: &str = "crash-called";
/// The name of the signals.
pub(crate) const SIGNAL: &str = "go";
/// The code of the failure of a run that fails on purpose…
pub(crate) const ON_PURPOSE: &str = "on_purpose";
/// …and what its caller makes of it.
pub(crate) const FAILED: u64 = 0xfa11;

/// A run's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) parts: Vec<Part>,
    pub(crate) end: End,
}

/// How a run ends if nobody intervenes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Succeeds,
    /// On purpose, after its last part.
    Fails,
    /// It waits for something that does not come.
    Never,
}

/// What the client does to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Left,
    /// Paused, and resumed later.
    Paused,
    /// Cancelled, with all that it has called.
    Cancelled,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Work that takes some time and gives a number.
    Step,
    /// The same, but its effect must not happen twice.
    Once,
    /// A rest, by the database's clock. A step follows, to show when it was over.
    Sleep(Duration),
    /// A wait for the next signal, which brings a number.
    Signal,
    /// A question to a person.
    Ask(Ask),
    /// A call of another run, with this input.
    Call(u64),
    /// Several lists of parts at the same time.
    Branches(Vec<Vec<Part>>),
}

/// A part with the key of its entries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) key: String,
    pub(crate) part: &'a Part,
}

impl Part {
    /// Whether nothing of it is executed: the run is parked meanwhile.
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Self::Sleep(_) | Self::Signal | Self::Ask(_) | Self::Call(_))
    }

    /// How many entries it has in the journal: most that have two say first that they have begun.
    pub(crate) fn entries(&self) -> usize {
        match self {
            Self::Step | Self::Sleep(_) | Self::Signal => 1,
            Self::Once | Self::Ask(_) | Self::Call(_) => 2,
            Self::Branches(_) => 0,
        }
    }
}

/// The name of the part at this place of a list.
pub(crate) fn name(part: &str, index: usize) -> String {
    format!("{part}-{index}")
}

/// The scope of a branch of the part at this place of a list.
pub(crate) fn scope(index: usize, branch: usize) -> String {
    format!("part-{index}/{branch}")
}

/// Whether the key is that of a step that must not happen twice.
pub(crate) fn is_once(key: &str) -> bool {
    key.rsplit('/').next().is_some_and(|name| name.starts_with("once-"))
}

/// Every key of the program. A sleep's step is right behind it.
pub(crate) fn places(parts: &[Part]) -> Vec<Place<'_>> {
    let mut places = Vec::new();
    collect("", parts, &mut places);
    places
}

fn collect<'a>(above: &str, parts: &'a [Part], places: &mut Vec<Place<'a>>) {
    let (mut sleeps, mut signals) = (0, 0);
    for (index, part) in parts.iter().enumerate() {
        let name = match part {
            Part::Step => name("step", index),
            Part::Once => name("once", index),
            Part::Ask(_) => name("ask", index),
            Part::Call(_) => name("call", index),
            Part::Sleep(_) => nth("sleep", &mut sleeps),
            Part::Signal => nth(&format!("signal:{SIGNAL}"), &mut signals),
            Part::Branches(branches) => {
                for (branch, parts) in branches.iter().enumerate() {
                    collect(&format!("{above}{}/", scope(index, branch)), parts, places);
                }
                continue;
            }
        };
        places.push(Place { key: format!("{above}{name}"), part });
    }
}

/// The first has no number, the second is 1.
fn nth(name: &str, before: &mut usize) -> String {
    let nth = if *before == 0 { name.to_owned() } else { format!("{name}#{before}") };
    *before += 1;
    nth
}

/// How many signals the run waits for.
pub(crate) fn signals(parts: &[Part]) -> usize {
    places(parts).iter().filter(|place| *place.part == Part::Signal).count()
}

/// What the signal of this number, counted from 0, brings.
pub(crate) fn brought(input: u64, number: usize) -> u64 {
    fastrand::Rng::with_seed(input ^ number as u64 ^ 0x5167).u64(..)
}

/// What the client does to the run with this input.
pub(crate) fn fate(input: u64) -> Fate {
    match fastrand::Rng::with_seed(input ^ 0xfa7e).u8(..100) {
        0..6 => Fate::Cancelled,
        6..16 => Fate::Paused,
        _ => Fate::Left,
    }
}

/// What a run makes of all that its parts gave.
pub(crate) fn output(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0, |sum, value| sum ^ value)
}

/// A number as a payload.
pub(crate) fn json(number: u64) -> v1::Payload {
    v1::Payload {
        content_type: "application/json".into(),
        encoding: String::new(),
        data: number.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_engine() {
        let ask = Ask { about: 1, deadline: None };
        let parts = [
            Part::Step,
            Part::Signal,
            Part::Branches(vec![vec![Part::Once], vec![Part::Signal, Part::Signal]]),
            Part::Signal,
            Part::Ask(ask),
            Part::Call(1),
        ];
        let keys: Vec<String> = places(&parts).into_iter().map(|place| place.key).collect();
        let expected =
            ["step-0", "signal:go", "part-2/0/once-0", "part-2/1/signal:go"].map(String::from);
        assert_eq!(keys[..4], expected);
        assert_eq!(keys[4..], ["part-2/1/signal:go#1", "signal:go#1", "ask-4", "call-5"]);
        assert_eq!(signals(&parts), 4);
        assert!(is_once(&keys[2]) && !is_once(&keys[0]));
    }
}
