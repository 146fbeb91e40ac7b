//! What a seed decides before anything happens: how many take part, and how bad it gets.

use std::time::Duration;

use crate::dice::Dice;
use crate::guard::Guard;

/// The plan of one simulation.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The guard that is taken away, to see whether the oracle notices.
    pub(crate) without: Option<Guard>,
    pub(crate) control_planes: u8,
    pub(crate) workers: u8,
    /// Who answer questions and help runs that are stuck.
    pub(crate) persons: u8,
    /// One client for each run.
    pub(crate) runs: u8,
    pub(crate) weather: Weather,
    /// How long things go wrong. Afterwards every run has to come to its end.
    pub(crate) faulty: Duration,
}

/// What goes wrong by itself, so many times in a thousand, and how often something is broken on
/// purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Messages that never arrive.
    pub(crate) lost: u32,
    /// Messages that arrive twice.
    pub(crate) copied: u32,
    /// Messages that take seconds.
    pub(crate) slow: u32,
    /// Wake-ups that never arrive: they are hints.
    pub(crate) hints_lost: u32,
    /// Rows that somebody else has locked in that moment.
    pub(crate) busy: u32,
    /// Transactions that commit and say that they did not.
    pub(crate) unsure: u32,
    /// The mean time between two faults; none in a calm simulation.
    pub(crate) fault_every: Option<Duration>,
}

impl Weather {
    /// Nothing is lost and nobody dies; messages still overtake one another and come twice. Here
    /// each step must be executed exactly once.
    const CALM: Self = Self {
        lost: 0,
        copied: 50,
        slow: 0,
        hints_lost: 300,
        busy: 0,
        unsure: 0,
        fault_every: None,
    };

    /// From now on nothing goes wrong any more.
    pub(crate) const FAIR: Self = Self { copied: 0, hints_lost: 0, ..Self::CALM };

    fn rough(dice: &mut Dice) -> Self {
        Self {
            lost: dice.number(0, 50),
            copied: dice.number(0, 80),
            slow: dice.number(0, 30),
            hints_lost: if dice.chance(200) { 1_000 } else { dice.number(0, 500) },
            busy: dice.number(0, 50),
            unsure: dice.number(0, 20),
            fault_every: Some(dice.millis(500, 8_000)),
        }
    }

    /// Whether nothing goes wrong any more.
    pub(crate) fn is_fair(&self) -> bool {
        *self == Self::FAIR
    }

    /// Whether nothing may go wrong that costs a worker its lease.
    pub(crate) fn is_calm(&self) -> bool {
        self.fault_every.is_none()
    }
}

impl Plan {
    /// The plan of this seed.
    pub(crate) fn new(dice: &mut Dice, without: Option<Guard>) -> Self {
        let calm = dice.chance(100);
        let weather = if calm { Weather::CALM } else { Weather::rough(dice) };
        // Few dice are thrown by a field's place in a list, so that the plan reads as a table.
        let (control_planes, workers, runs) =
            (dice.number(2, 3), dice.number(3, 5), dice.number(8, 18));
        let small = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
        Self {
            without,
            control_planes: small(control_planes),
            workers: small(workers),
            persons: 2,
            runs: small(runs),
            weather,
            faulty: dice.millis(60_000, 120_000),
        }
    }

    /// Whether this guard is taken away.
    pub(crate) fn lacks(&self, guard: Guard) -> bool {
        self.without == Some(guard)
    }
}
