//! What a run's code waits for: a time, a signal, what somebody else ends.

use std::time::Duration;

use tenure_core::{EntryStatus, Key, Name, Opening, Payload, Record, Timestamp};
use tenure_replay::{Asleep, Finished, Wait};

use super::Context;
use crate::interrupt::ended;
use crate::stop::Stop;

/// The code of the failure of a wait whose time was up.
pub const TIMED_OUT: &str = "timed_out";

impl Context {
    /// Sleeps for this long, counted from the first time that the code came here, by the database's
    /// clock. While nothing else is in flight the run is parked and costs nothing, for years if it
    /// has to; a crash or deploy in between changes nothing.
    pub async fn sleep(&self, length: Duration) -> Result<(), Stop> {
        self.rest(|began| length.saturating_sub(began.map_or(Duration::ZERO, |at| self.age(at))))
            .await
    }

    /// Sleeps until this moment, by the database's clock; not at all if it has passed.
    pub async fn sleep_until(&self, end: Timestamp) -> Result<(), Stop> {
        self.rest(|_| end.since(self.leased.database_now())).await
    }

    fn age(&self, at: Timestamp) -> Duration {
        self.leased.age(at)
    }

    /// Sleeps for what is `left`, given when it began if that was before.
    async fn rest(&self, left: impl Fn(Option<Timestamp>) -> Duration) -> Result<(), Stop> {
        let asleep = self.leased.engine().sleep(&self.scope)?;
        let (key, left) = match asleep {
            Asleep::Since(key, began) => (key, left(Some(began))),
            Asleep::Begin(key) => {
                let left = left(None);
                self.leased.append(self.fall_asleep(&key, left)?).await?;
                (key, left)
            }
            Asleep::Ended(status) => return ended(status).map(drop),
            Asleep::Mismatch(mismatch) => return Err(Stop::Blocked((*mismatch).into())),
        };
        let _waiting = self.leased.in_flight(&key);
        self.leased.rest(&key, left).await;
        Ok(())
    }

    /// The record that a sleep begins with: its own time is all that counts, the length is for
    /// people who read the journal.
    fn fall_asleep(&self, key: &Key, length: Duration) -> Result<Record, Stop> {
        let length = serde_json::to_vec(&length.as_secs_f64())?;
        let finished = Finished {
            status: EntryStatus::Succeeded(Payload::json(length)),
            attempt: 1,
            duration: Duration::ZERO,
            usage: None,
        };
        Ok(self.leased.engine().finish(key, finished)?)
    }

    /// Waits for the next signal of this name and gives what it brings. While nothing else is in
    /// flight the run is parked and costs nothing; its code runs again when the signal is there.
    pub async fn wait_for(&self, signal: &Name) -> Result<Payload, Stop> {
        let wait = self.leased.engine().signal(&self.scope, signal, false)?;
        ended(self.outcome(wait, || Opening::Started, None).await?)
    }

    /// Waits for the next signal of this name, but no longer than this, counted from the first time
    /// that the code came here: `None` when the time was up first. What arrives later is for the next
    /// wait. Which of the two came first is recorded, so it is the same in every replay.
    pub async fn wait_for_within(
        &self,
        signal: &Name,
        limit: Duration,
    ) -> Result<Option<Payload>, Stop> {
        let wait = self.leased.engine().signal(&self.scope, signal, true)?;
        match ended(self.outcome(wait, || Opening::Started, Some(limit)).await?) {
            Ok(payload) => Ok(Some(payload)),
            Err(Stop::Failed(failure)) if failure.code == TIMED_OUT => Ok(None),
            Err(stop) => Err(stop),
        }
    }

    /// Waits until it has ended, and records how. `opening` is what it begins with, if it does so
    /// now; `limit` how long it may take.
    pub(crate) async fn outcome(
        &self,
        wait: Wait,
        opening: impl FnOnce() -> Opening,
        limit: Option<Duration>,
    ) -> Result<EntryStatus, Stop> {
        let leased = self.leased();
        let (key, begins, since) = match wait {
            Wait::Recorded(status) => return Ok(status),
            Wait::Elsewhere(seq) => return leased.result(seq).await,
            Wait::Mismatch(mismatch) => return Err(Stop::Blocked((*mismatch).into())),
            Wait::Arrived(record) => return self.note(record).await,
            Wait::Begin(key) => (key, true, None),
            Wait::Suspend(key, since) => (key, false, since),
        };
        let _waiting = leased.in_flight(&key);
        if begins {
            let begun = leased.engine().begin(&key, opening())?;
            leased.append(begun).await?;
        }
        let age = since.map_or(Duration::ZERO, |at| leased.age(at));
        let left = limit.map(|limit| limit.saturating_sub(age));
        self.note(leased.arrival(&key, left).await?).await
    }

    /// Records how a wait ended.
    async fn note(&self, record: Record) -> Result<EntryStatus, Stop> {
        let status = record.status.clone();
        self.leased.append(record).await?;
        Ok(status)
    }
}
