//! How steadily runs went on: the time between two signs of progress, by the database's clock,
//! without what the run itself takes.

use std::fmt;
use std::time::Duration;

use tenure_sdk::v1;

use crate::ledger::{Known, Ledger};

/// Time in which a run could have gone on and did not. The clients do at once what a run waits for,
/// and what that takes is in it.
pub(crate) struct Delay {
    pub(crate) run: String,
    /// What came at its end: the key of an entry, or the end of the run.
    pub(crate) before: String,
    pub(crate) length: Duration,
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1?} before {} of {}", self.length, self.before, self.run)
    }
}

/// All delays of all runs that have ended.
pub(crate) fn delays(ledger: &Ledger) -> Vec<Delay> {
    ledger.runs.values().filter_map(of_run).flatten().collect()
}

fn of_run(known: &Known) -> Option<Vec<Delay>> {
    let ended = known.ended.as_ref()?;
    let delay = |before: &str, length| {
        let (run, before) = (known.id.clone(), before.to_owned());
        Delay { run, before, length }
    };
    let created = ended.created_at.as_ref()?;
    let mut last = micros(created.seconds, created.nanos);
    let (mut asleep, mut delays) = (Duration::ZERO, Vec::new());
    for entry in &known.journal {
        let (at, record) = (entry.at.as_ref()?, entry.record.as_ref()?);
        let now = micros(at.seconds, at.nanos);
        let own = asleep + worked(record);
        delays.push(delay(&record.key, gap(last, now).saturating_sub(own)));
        (last, asleep) = (now, sleeps(record));
    }
    let end = ended.ended_at.as_ref()?;
    let rest = gap(last, micros(end.seconds, end.nanos)).saturating_sub(asleep);
    delays.push(delay("the end", rest));
    Some(delays)
}

/// How long what is recorded took.
fn worked(record: &v1::Record) -> Duration {
    let took = record.duration.as_ref().map(|took| micros(took.seconds, took.nanos));
    Duration::from_micros(took.unwrap_or_default())
}

/// How long the run sleeps from here on.
fn sleeps(record: &v1::Record) -> Duration {
    let Some(v1::record::Status::Succeeded(length)) = &record.status else {
        return Duration::ZERO;
    };
    let seconds = serde_json::from_slice(&length.data).unwrap_or_default();
    if record.key == "sleep" { Duration::from_secs_f64(seconds) } else { Duration::ZERO }
}

fn gap(earlier: u64, later: u64) -> Duration {
    Duration::from_micros(later.saturating_sub(earlier))
}

fn micros(seconds: i64, nanos: i32) -> u64 {
    u64::try_from(seconds * 1_000_000 + i64::from(nanos) / 1_000).unwrap_or_default()
}
