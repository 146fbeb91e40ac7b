//! What a run does: a list of parts that its input decides, so that the worker, the client and the
//! oracle know it alike.

use std::time::Duration;

/// The name of the signals.
pub(crate) const SIGNAL: &str = "go";
/// How long a run sleeps, in milliseconds: beyond what a worker sleeps itself, so the run is parked.
const SLEEP_MILLIS: std::ops::RangeInclusive<u64> = 1_100..=3_000;

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Work that takes some time and gives a number.
    Step,
    /// A rest, by the database's clock. A step follows, to show when it was over.
    Sleep(Duration),
    /// A wait for the next signal, which brings a number.
    Signal,
    /// Several lists of parts at the same time.
    Branches(Vec<Vec<Part>>),
}

/// A part with the key of its entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) key: String,
    pub(crate) part: &'a Part,
}

/// The parts of the run with this input: about eight entries, sometimes twice as many.
pub(crate) fn of(input: u64) -> Vec<Part> {
    let mut random = fastrand::Rng::with_seed(input);
    let mut parts = vec![Part::Step];
    for _ in 0..random.usize(2..=4) {
        draw(&mut parts, &mut random, true);
    }
    parts.push(Part::Step);
    parts
}

fn draw(parts: &mut Vec<Part>, random: &mut fastrand::Rng, branches: bool) {
    match random.u8(..100) {
        0..15 => {
            let length = Duration::from_millis(random.u64(SLEEP_MILLIS));
            parts.extend([Part::Sleep(length), Part::Step]);
        }
        15..35 => parts.push(Part::Signal),
        35..60 if branches => parts.push(Part::Branches(draw_branches(random))),
        _ => parts.extend([Part::Step, Part::Step]),
    }
}

fn draw_branches(random: &mut fastrand::Rng) -> Vec<Vec<Part>> {
    let branch = |random: &mut fastrand::Rng| {
        let mut parts = vec![Part::Step];
        draw(&mut parts, random, false);
        parts
    };
    (0..random.usize(2..=3)).map(|_| branch(random)).collect()
}

/// The name of the step at this place of a list.
pub(crate) fn step(index: usize) -> String {
    format!("step-{index}")
}

/// The scope of a branch of the part at this place of a list.
pub(crate) fn scope(index: usize, branch: usize) -> String {
    format!("part-{index}/{branch}")
}

/// Every entry of the program. A sleep's step is right behind it.
pub(crate) fn places(parts: &[Part]) -> Vec<Place<'_>> {
    let mut places = Vec::new();
    collect("", parts, &mut places);
    places
}

fn collect<'a>(above: &str, parts: &'a [Part], places: &mut Vec<Place<'a>>) {
    let (mut sleeps, mut signals) = (0, 0);
    for (index, part) in parts.iter().enumerate() {
        let name = match part {
            Part::Step => step(index),
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

/// What a run makes of all that its steps and signals gave.
pub(crate) fn output(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0, |sum, value| sum ^ value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_engine() {
        let parts = [
            Part::Step,
            Part::Signal,
            Part::Branches(vec![vec![Part::Step], vec![Part::Signal, Part::Signal]]),
            Part::Signal,
        ];
        let keys: Vec<String> = places(&parts).into_iter().map(|place| place.key).collect();
        let expected =
            ["step-0", "signal:go", "part-2/0/step-0", "part-2/1/signal:go"].map(String::from);
        assert_eq!(keys[..4], expected);
        assert_eq!(keys[4..], ["part-2/1/signal:go#1", "signal:go#1"]);
        assert_eq!(signals(&parts), 4);
    }

    #[test]
    fn a_step_follows_each_sleep_and_all_parts_are_drawn() {
        let (mut sleeps, mut signals, mut forks) = (0, 0, 0);
        for input in 0..500 {
            let parts = of(input);
            assert_eq!(parts, of(input));
            forks += parts.iter().filter(|part| matches!(part, Part::Branches(_))).count();
            signals += super::signals(&parts);
            for pair in places(&parts).windows(2) {
                if matches!(pair[0].part, Part::Sleep(_)) {
                    assert_eq!(*pair[1].part, Part::Step);
                    sleeps += 1;
                }
            }
        }
        assert!(sleeps > 100 && signals > 100 && forks > 100, "{sleeps} {signals} {forks}");
    }
}
