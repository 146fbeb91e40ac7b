//! The database's clock between two answers of the database.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tenure_core::Timestamp;

/// What was heard of the database's clock. What is decided by it is checked against the real one
/// where it is written ([`Known::at`](crate::Known::at)).
#[derive(Default)]
pub(crate) struct Heard(Mutex<Option<Sample>>);

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
    /// The time: never behind the database's clock, unless the two do not go alike.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        match (*self.lock())? {
            Sample::Goes { time, asked, .. } => Some(time + asked.elapsed()),
            Sample::Stands(time) => Some(time),
        }
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (heard, now) = (Heard::default(), Instant::now());
        assert_eq!(heard.now(), None);
        heard.hear(at(1_000_000), now);
        heard.hear(at(9_000_000), now.checked_sub(Duration::from_secs(3)).unwrap());
        let shown = heard.now().unwrap();
        assert!(at(1_000_000) <= shown && shown < at(4_000_000), "{shown}");
        heard.forget();
        assert_eq!(heard.now(), None);
        heard.set(Some(at(5)));
        heard.hear(at(7), now);
        heard.forget();
        assert_eq!(heard.now(), Some(at(5)));
    }
}
