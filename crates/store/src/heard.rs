//! The database's clock between two answers of the database.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tenure_core::Timestamp;

/// The moments that the database's clock is between, if it goes as this machine's does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardNow {
    /// It shows this or later: what becomes ready at this time can be had at once.
    pub earliest: Timestamp,
    /// It shows this or earlier: a lease that is given from this time on lasts as long as it is said
    /// to.
    pub latest: Timestamp,
}

/// What was heard of the database's clock. What is decided by it is checked against the real one
/// where it is written ([`Known::at`](crate::Known::at)).
pub(crate) struct Heard {
    /// What the clock counts in: it shows a time that has begun up to so long ago.
    resolution: Duration,
    sample: Mutex<Option<Sample>>,
}

#[derive(Clone, Copy)]
enum Sample {
    /// It showed `time` at some moment after `asked`.
    Goes { time: Timestamp, asked: Instant, heard: Instant },
    /// It was set to stand still.
    Stands(Timestamp),
}

/// How long the answer that came fastest is believed before a slower one replaces it: longer, and two
/// clocks that do not go alike would be noticed too late.
const FRESH: Duration = Duration::from_secs(10);

impl Heard {
    pub(crate) const fn new(resolution: Duration) -> Self {
        Self { resolution, sample: Mutex::new(None) }
    }

    /// The time: the answer was given after it was asked for, and before it was heard.
    pub(crate) fn now(&self) -> Option<HeardNow> {
        Some(match (*self.lock())? {
            Sample::Goes { time, asked, heard } => HeardNow {
                earliest: time + heard.elapsed() - self.resolution,
                latest: time + asked.elapsed() + self.resolution,
            },
            Sample::Stands(time) => HeardNow { earliest: time, latest: time },
        })
    }

    /// The database was asked at this moment, and answered with this time just now.
    pub(crate) fn hear(&self, time: Timestamp, asked: Instant) {
        let mut sample = self.lock();
        let heard = Instant::now();
        let better = match *sample {
            None => true,
            Some(Sample::Stands(_)) => false,
            Some(Sample::Goes { asked: before, heard: then, .. }) => {
                then.elapsed() > FRESH || heard - asked <= then - before
            }
        };
        if better {
            *sample = Some(Sample::Goes { time, asked, heard });
        }
    }

    /// Nothing that was heard is true any more.
    pub(crate) fn forget(&self) {
        let mut sample = self.lock();
        if matches!(*sample, Some(Sample::Goes { .. })) {
            *sample = None;
        }
    }

    /// The database's clock was set here.
    pub(crate) fn set(&self, at: Option<Timestamp>) {
        *self.lock() = at.map(Sample::Stands);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Sample>> {
        self.sample.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn the_fastest_answer_counts_and_a_set_clock_stands_still() {
        let (heard, now) = (Heard::new(Duration::from_micros(1)), Instant::now());
        assert_eq!(heard.now(), None);
        heard.hear(at(1_000_000), now);
        heard.hear(at(9_000_000), now.checked_sub(Duration::from_secs(3)).unwrap());
        let HeardNow { earliest, latest } = heard.now().unwrap();
        assert!(at(999_999) <= earliest && earliest < latest, "{earliest}");
        assert!(latest < at(4_000_000), "{latest}");
        heard.forget();
        assert_eq!(heard.now(), None);
        heard.set(Some(at(5)));
        heard.hear(at(7), now);
        heard.forget();
        assert_eq!(heard.now(), Some(HeardNow { earliest: at(5), latest: at(5) }));
    }
}
