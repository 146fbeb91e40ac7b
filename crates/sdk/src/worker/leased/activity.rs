//! What is going on in a leased run: what is executed, recorded and waited for. It decides when the
//! run may be parked or given back.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tenure_core::{Key, Record};

use super::Leased;
use crate::stop::Stop;

/// Ten years: beyond what a process lives.
const FAR: Duration = Duration::from_hours(24 * 365 * 10);
/// A wait that is over so soon is waited for here: parking and leasing again would take as long.
const NAP: Duration = Duration::from_secs(1);

/// What is under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Activity {
    /// Steps that are being executed.
    executing: usize,
    /// Records that are on their way into the journal, and results on their way out of it. The code
    /// has not seen the answer yet: a run that was parked then would not go on with it.
    under_way: usize,
    /// Grows with everything that begins or ends.
    changes: u64,
}

/// Says that a step is being executed, until it is dropped.
pub(crate) struct Executing<'a> {
    leased: &'a Leased,
    key: Key,
}

impl Executing<'_> {
    /// The step has been executed.
    pub(crate) fn executed(&self) {
        self.leased.observer.before_record(self.leased.run, &self.key, self.leased.epoch);
    }

    /// What the step gave is durable.
    pub(crate) fn recorded(self) {
        self.leased.observer.after_step(self.leased.run, &self.key, self.leased.epoch);
    }
}

impl Drop for Executing<'_> {
    fn drop(&mut self) {
        self.leased.act(|activity| activity.executing -= 1);
    }
}

/// Says that something is being recorded, or read, until it is dropped.
pub(super) struct UnderWay<'a>(&'a Leased);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.act(|activity| activity.under_way -= 1);
    }
}

/// A step or wait that the code is at. Code that lets go of it, as a timeout around a step does,
/// must not leave the engine believing that it is still there.
pub(crate) struct InFlight<'a> {
    leased: &'a Leased,
    key: Key,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.leased.engine().abandon(&self.key);
        self.leased.act(|_| {});
    }
}

/// A moment that the code waits for, until it is dropped.
struct Alarm<'a> {
    leased: &'a Leased,
    key: Key,
    due: Instant,
}

impl Alarm<'_> {
    async fn over(&self) {
        tokio::time::sleep_until(self.due.into()).await;
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.leased.alarms().remove(&self.key);
        self.leased.act(|_| {});
    }
}

impl Leased {
    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something begins or ends.
    fn act(&self, change: impl FnOnce(&mut Activity)) {
        {
            let mut activity = self.activity();
            change(&mut activity);
            activity.changes += 1;
        }
        // Most of this happens while the run's task polls the code, and it looks when it has done so.
        if !self.polling.load(Ordering::SeqCst) {
            self.standing.wake();
        }
    }

    /// Says that the code is at this step or wait, until the answer is dropped.
    pub(crate) fn in_flight(&self, key: &Key) -> InFlight<'_> {
        InFlight { leased: self, key: key.clone() }
    }

    /// Waits until a step may be executed, and says that one is. Never returns in a check.
    pub(crate) async fn enter(&self, key: &Key) -> Executing<'_> {
        if self.check.is_some() {
            self.hang(key).await;
        }
        self.standing.until(|state| state.may_begin(Instant::now())).await;
        self.act(|activity| activity.executing += 1);
        let executing = Executing { leased: self, key: key.clone() };
        self.observer.before_step(self.run, key, self.epoch).await;
        executing
    }

    /// Waits until the lease can be believed in, if it cannot be.
    pub(crate) async fn still_held(&self) {
        self.standing.until(|state| state.is_good(Instant::now())).await;
    }

    /// Records something; it is durable when this returns. Never returns in a check.
    pub(crate) async fn append(&self, record: Record) -> Result<(), Stop> {
        self.append_all(vec![record]).await
    }

    /// The same for records that are committed together.
    pub(crate) async fn append_all(&self, records: Vec<Record>) -> Result<(), Stop> {
        if let (Some(_), Some(record)) = (&self.check, records.first()) {
            self.hang(&record.key).await;
        }
        let _appending = self.under_way();
        self.journal.append(records).await
    }

    /// Says that something goes into the journal, or comes out of it.
    pub(super) fn under_way(&self) -> UnderWay<'_> {
        self.act(|activity| activity.under_way += 1);
        UnderWay(self)
    }

    /// A check neither executes nor records: here its code cannot go on.
    async fn hang(&self, key: &Key) {
        self.engine().wait_on(key.clone());
        self.act(|_| {});
        std::future::pending::<()>().await;
    }

    /// Waits for so long, and lets the run be parked meanwhile.
    pub(crate) async fn rest(&self, key: &Key, left: Duration) {
        let alarm = self.alarm(key, left);
        self.engine().wait_on(key.clone());
        self.act(|_| {});
        alarm.over().await;
        self.engine().go_on(key);
    }

    /// Waits until this wait has ended, `left` at most, and gives the record that says how.
    pub(crate) async fn arrival(&self, key: &Key, left: Option<Duration>) -> Result<Record, Stop> {
        let mut received = self.received.subscribe();
        let alarm = left.map(|left| self.alarm(key, left));
        loop {
            if let Some(record) = self.engine().poll(key) {
                return Ok(record);
            }
            self.act(|_| {});
            tokio::select! {
                biased;
                moved = received.changed() => moved.map_err(|_| Stop::LeaseLost)?,
                () = over(alarm.as_ref()) => return self.give_up(key).await,
            }
        }
    }

    /// The time of a wait is up. What is known to have arrived before is looked at first.
    async fn give_up(&self, key: &Key) -> Result<Record, Stop> {
        self.inbox_read().await;
        let record = self.engine().time_out(key);
        record.ok_or_else(|| Stop::failed("internal", format!("`{key}` does not wait any more")))
    }

    fn alarm(&self, key: &Key, left: Duration) -> Alarm<'_> {
        // A moment that no clock can name is as good as one far away.
        let due = Instant::now().checked_add(left).unwrap_or_else(|| Instant::now() + FAR);
        self.alarms().insert(key.clone(), due);
        Alarm { leased: self, key: key.clone(), due }
    }

    /// How long the next wait for a moment still takes, if the code is in any.
    pub(in crate::worker) fn next_alarm(&self) -> Option<Duration> {
        let due = self.alarms().values().min().copied()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Whether a step is being executed.
    pub(super) fn is_executing(&self) -> bool {
        self.activity().executing > 0
    }

    /// If the code waits for what has not arrived and nothing else is going on, how much had changed
    /// until now: when that has not grown for a while, the run may be parked.
    pub(super) fn rests_since(&self) -> Option<u64> {
        let Activity { executing, under_way, changes } = *self.activity();
        let rests = executing == 0
            && under_way == 0
            && self.engine().is_parked()
            && self.next_alarm().is_none_or(|left| left > NAP);
        rests.then_some(changes)
    }
}

async fn over(alarm: Option<&Alarm<'_>>) {
    match alarm {
        Some(alarm) => alarm.over().await,
        None => std::future::pending().await,
    }
}
