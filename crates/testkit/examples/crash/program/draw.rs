//! Which parts a run has.

use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;

use super::{Answer, Ask, CALLED, End, Fate, Part, Program, fate};

/// How long a run sleeps, in milliseconds: beyond what a worker sleeps itself, so the run is parked.
const SLEEP_MILLIS: RangeInclusive<u64> = 1_100..=3_000;
/// How long there is time for an answer, in milliseconds: less than it takes, every now and then.
const DEADLINE_MILLIS: RangeInclusive<u64> = 300..=1_500;
/// Beyond the end of the test.
const FOR_EVER: Duration = Duration::from_hours(24);

/// What a run is called for.
#[derive(Clone, Copy)]
enum Errand {
    Works,
    Fails,
    /// It calls one that works.
    Calls,
    /// It sleeps for ever.
    Sleeps,
    /// It calls one that sleeps for ever.
    CallsSleeper,
}

/// All of them: the input of a called run says which, as the remainder of a division.
const ERRANDS: [Errand; 5] =
    [Errand::Works, Errand::Fails, Errand::Calls, Errand::Sleeps, Errand::CallsSleeper];

/// The program of a run of this agent with this input.
pub(crate) fn of(agent: &str, input: u64) -> Program {
    let mut random = Rng::with_seed(input);
    match (agent, fate(input)) {
        (CALLED, _) => called(input, &mut random),
        (_, Fate::Cancelled) => Program { parts: endless(&mut random), end: End::Never },
        (_, Fate::Left | Fate::Paused) => Program { parts: long(&mut random), end: End::Succeeds },
    }
}

/// About eight entries, sometimes twice as many.
fn long(random: &mut Rng) -> Vec<Part> {
    let mut parts = vec![Part::Step];
    for _ in 0..random.usize(2..=4) {
        draw(&mut parts, random, true);
    }
    parts.push(Part::Step);
    parts
}

fn draw(parts: &mut Vec<Part>, random: &mut Rng, branches: bool) {
    match random.u8(..100) {
        0..12 => {
            let length = Duration::from_millis(random.u64(SLEEP_MILLIS));
            parts.extend([Part::Sleep(length), Part::Step]);
        }
        12..26 => parts.push(Part::Signal),
        26..36 => parts.push(ask(random, false)),
        36..44 => parts.push(ask(random, true)),
        44..52 => parts.push(call(random)),
        52..62 => parts.push(Part::Once),
        62..84 if branches => parts.push(Part::Branches(draw_branches(random))),
        _ => parts.extend([Part::Step, Part::Step]),
    }
}

/// Sometimes two questions or three calls at the same time.
fn draw_branches(random: &mut Rng) -> Vec<Vec<Part>> {
    let branch = |random: &mut Rng| {
        let mut parts = vec![Part::Step];
        draw(&mut parts, random, false);
        parts
    };
    match random.u8(..10) {
        0..2 => (0..2).map(|_| vec![ask(random, false)]).collect(),
        2 => (0..3).map(|_| vec![call(random)]).collect(),
        _ => (0..random.usize(2..=3)).map(|_| branch(random)).collect(),
    }
}

fn ask(random: &mut Rng, deadline: bool) -> Part {
    let about = random.u64(..);
    let default = if random.bool() { Answer::Approve } else { Answer::Reject };
    let length = Duration::from_millis(random.u64(DEADLINE_MILLIS));
    Part::Ask(Ask { about, deadline: deadline.then_some((length, default)) })
}

fn call(random: &mut Rng) -> Part {
    let errand = match random.u8(..10) {
        0..3 => Errand::Fails,
        3..5 => Errand::Calls,
        _ => Errand::Works,
    };
    called_for(errand, random)
}

fn called_for(errand: Errand, random: &mut Rng) -> Part {
    let all = ERRANDS.len() as u64;
    Part::Call(random.u64(..u64::MAX / all) * all + errand as u64)
}

/// Waits for runs that do not end, and for an answer that nobody gives.
fn endless(random: &mut Rng) -> Vec<Part> {
    let branches = vec![
        vec![Part::Step, called_for(Errand::Sleeps, random)],
        vec![called_for(Errand::CallsSleeper, random)],
        vec![call(random), ask(random, false)],
    ];
    vec![Part::Step, Part::Branches(branches), Part::Step]
}

fn called(input: u64, random: &mut Rng) -> Program {
    let errand = ERRANDS[usize::try_from(input % ERRANDS.len() as u64).unwrap_or_default()];
    let (part, end) = match errand {
        Errand::Works => (Part::Step, End::Succeeds),
        Errand::Fails => (Part::Step, End::Fails),
        Errand::Calls => (called_for(Errand::Works, random), End::Succeeds),
        Errand::Sleeps => (Part::Sleep(FOR_EVER), End::Never),
        Errand::CallsSleeper => (called_for(Errand::Sleeps, random), End::Never),
    };
    Program { parts: vec![Part::Step, part, Part::Step], end }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::program::{AGENT, places};

    #[test]
    fn a_step_follows_each_sleep_and_all_parts_are_drawn() {
        let mut drawn: HashMap<String, usize> = HashMap::new();
        for input in 0..500 {
            let Program { parts, .. } = of(AGENT, input);
            assert_eq!(parts, of(AGENT, input).parts);
            for pair in places(&parts).windows(2) {
                let name = pair[0].key.rsplit('/').next().unwrap();
                let name = name.split(['-', '#']).next().unwrap();
                *drawn.entry(name.to_owned()).or_default() += 1;
                if matches!(pair[0].part, Part::Sleep(_)) {
                    assert_eq!(*pair[1].part, Part::Step);
                }
            }
        }
        assert_eq!(drawn.len(), 6, "{drawn:?}");
        assert!(drawn.values().all(|count| *count > 50), "{drawn:?}");
    }

    #[test]
    fn only_runs_that_are_cancelled_never_end() {
        let called_ends = |parts: &[Part]| -> Vec<End> {
            let called = |place: &crate::program::Place<'_>| match place.part {
                Part::Call(input) => Some(of(CALLED, *input).end),
                _ => None,
            };
            places(parts).iter().filter_map(called).collect()
        };
        for input in 0..500 {
            let Program { parts, end } = of(AGENT, input);
            let waits_for_ever = called_ends(&parts).contains(&End::Never);
            assert_eq!(waits_for_ever, fate(input) == Fate::Cancelled);
            assert_eq!(end == End::Never, waits_for_ever);
        }
    }
}
