//! One leased run in this worker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tenure_core::{Entry, Error, Key, Name, Record, RunId, Timestamp};
use tenure_proto::{convert, v1};
use tenure_replay::Engine;
use tokio::sync::watch;

use super::Observer;
use super::journal::{Committer, Journal};
use super::standing::Standing;
use crate::client::Client;
use crate::stop::Stop;

/// Everything that the code of one leased run is about.
pub(crate) struct Leased {
    pub(crate) run: RunId,
    pub(crate) agent: Name,
    pub(crate) version: u32,
    pub(crate) attempts: u32,
    pub(crate) spec: Bytes,
    pub(super) lease: String,
    pub(super) epoch: u64,
    pub(super) client: Client,
    pub(super) standing: Standing,
    pub(super) journal: Journal,
    pub(super) observer: Arc<dyn Observer>,
    engine: Mutex<Engine>,
    /// Who executes steps, and that something changed.
    activity: watch::Sender<Activity>,
    /// How many inbox items the engine has been given.
    received: watch::Sender<u64>,
    /// When the run was leased, by the clock of its entries and by this worker's.
    since: (Timestamp, Instant),
    /// When the sleeps that the code is in are over.
    alarms: Mutex<HashMap<Key, Instant>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Activity {
    executing: usize,
    /// Grows with every step that begins or ends and every wait that begins.
    changes: u64,
}

/// Says that a step is being executed, until it is dropped.
pub(crate) struct Executing<'a> {
    leased: &'a Leased,
    key: Key,
}

impl Executing<'_> {
    /// The step has ended and its result is durable.
    pub(crate) fn recorded(self) {
        self.leased.observer.after_step(self.leased.run, &self.key, self.leased.epoch);
    }
}

impl Drop for Executing<'_> {
    fn drop(&mut self) {
        self.leased.activity.send_modify(|activity| {
            activity.executing -= 1;
            activity.changes += 1;
        });
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
        self.leased.activity.send_modify(|activity| activity.changes += 1);
    }
}

/// Waits for more to arrive in the inbox.
pub(crate) struct Inbox<'a> {
    leased: &'a Leased,
    received: watch::Receiver<u64>,
}

impl Inbox<'_> {
    /// Returns when the engine has been given something that was not there before.
    pub(crate) async fn changed(&mut self) -> Result<(), Stop> {
        self.leased.activity.send_modify(|activity| activity.changes += 1);
        self.received.changed().await.map_err(|_| Stop::LeaseLost)
    }
}

/// A sleep that the code is in.
struct Sleep<'a> {
    leased: &'a Leased,
    key: Key,
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.leased.alarms().remove(&self.key);
        self.leased.engine().abandon(&self.key);
        self.leased.activity.send_modify(|activity| activity.changes += 1);
    }
}

/// Ten years: beyond what a process lives.
const FAR: Duration = Duration::from_hours(24 * 365 * 10);
/// A sleep that is over so soon is slept here: parking and leasing again would take as long.
const NAP: Duration = Duration::from_secs(1);
/// How long a run that waits must be quiet before it is parked: what is about to arrive needs no
/// second lease then.
const PARK_AFTER: Duration = Duration::from_millis(100);

impl Leased {
    /// The run with its journal read whole: only then may its code start.
    pub(super) fn new(
        wire: &v1::LeasedRun,
        received_at: Instant,
        history: Vec<Entry>,
        spec: Bytes,
        client: Client,
        standing: Standing,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        let committer = Committer {
            client: client.clone(),
            run: wire.run.clone(),
            lease: wire.lease.clone(),
            next_seq: wire.next_seq,
            standing: standing.clone(),
        };
        Ok(Self {
            run: wire.run.parse()?,
            agent: wire.agent.parse()?,
            version: wire.version,
            attempts: wire.attempts,
            spec,
            lease: wire.lease.clone(),
            epoch: wire.epoch,
            client,
            standing,
            journal: committer.start(),
            observer,
            engine: Mutex::new(Engine::new(history)?),
            activity: watch::Sender::default(),
            received: watch::Sender::default(),
            since: (convert::timestamp_in(wire.leased_at.as_ref()), received_at),
            alarms: Mutex::default(),
        })
    }

    /// The replay engine. Never held over an await.
    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the code is at this step or wait, until the answer is dropped.
    pub(crate) fn in_flight(&self, key: &Key) -> InFlight<'_> {
        InFlight { leased: self, key: key.clone() }
    }

    /// Waits until a step may be executed, and says that one is.
    pub(crate) async fn enter(&self, key: &Key) -> Executing<'_> {
        self.standing.until(|state| !state.draining && !state.stale).await;
        self.activity.send_modify(|activity| {
            activity.executing += 1;
            activity.changes += 1;
        });
        let executing = Executing { leased: self, key: key.clone() };
        self.observer.before_step(self.run, key, self.epoch).await;
        executing
    }

    /// Records a result; it is durable when this returns.
    pub(crate) async fn append(&self, record: Record) -> Result<(), Stop> {
        self.journal.append(record).await
    }

    /// What waits for more to arrive; ask before looking.
    pub(crate) fn inbox(&self) -> Inbox<'_> {
        Inbox { leased: self, received: self.received.subscribe() }
    }

    /// How long ago an entry was made, by the database's clock as far as it has been heard.
    pub(crate) fn age(&self, at: Timestamp) -> Duration {
        self.since.0.since(at) + self.since.1.elapsed()
    }

    /// Sleeps for so long, and lets the run be parked meanwhile.
    pub(crate) async fn sleep(&self, key: Key, left: Duration) {
        // A moment that no clock can name is as good as one far away.
        let due = Instant::now().checked_add(left).unwrap_or_else(|| Instant::now() + FAR);
        self.alarms().insert(key.clone(), due);
        self.engine().wait_on(key.clone());
        self.activity.send_modify(|activity| activity.changes += 1);
        let _sleep = Sleep { leased: self, key };
        tokio::time::sleep_until(due.into()).await;
    }

    /// How long the next sleep that ends still takes, if the code is in any.
    pub(super) fn next_alarm(&self) -> Option<Duration> {
        let due = self.alarms().values().min().copied()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    fn alarms(&self) -> MutexGuard<'_, HashMap<Key, Instant>> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps bytes as an artifact of the run.
    pub(crate) async fn put_artifact(
        &self,
        name: &str,
        content_type: &str,
        data: Bytes,
    ) -> Result<v1::PutArtifactResponse, tenure_core::Failure> {
        let request = v1::PutArtifactRequest {
            tenant: self.client.tenant().to_string(),
            run: self.run.to_string(),
            lease: self.lease.clone(),
            name: name.to_owned(),
            content_type: content_type.to_owned(),
            data,
        };
        let put = || {
            let (mut workers, request) = (self.client.workers(), request.clone());
            async move { workers.put_artifact(request).await }
        };
        self.client.retry(put).await.map_err(|error| {
            tenure_core::Failure::permanent(error.kind().as_str(), error.message())
        })
    }

    /// Gives the engine what has arrived since it was last given something.
    pub(super) async fn read_inbox(&self) -> Result<(), Error> {
        loop {
            let request = v1::ReadInboxRequest {
                tenant: self.client.tenant().to_string(),
                run: self.run.to_string(),
                after: self.engine().received(),
            };
            let read = || {
                let (mut workers, request) = (self.client.workers(), request.clone());
                async move { workers.read_inbox(request).await }
            };
            let page = self.client.retry(read).await?;
            let items = page.items.into_iter().map(convert::inbox_item_in);
            let items = items.collect::<Result<Vec<_>, _>>()?;
            self.engine().receive(items);
            self.received.send_replace(self.engine().received());
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Returns when the inbox has what the engine has not been given.
    pub(super) async fn inbox_moved(&self) {
        let received = self.engine().received();
        self.standing.until(|state| state.inbox > received).await;
    }

    /// Returns when the worker is going away and the run is at a step boundary.
    pub(super) async fn drained(&self) {
        self.standing.until(|state| state.draining).await;
        let mut activity = self.activity.subscribe();
        tokio::select! {
            _ = activity.wait_for(|activity| activity.executing == 0) => {}
            _ = self.standing.until(|state| state.abandoned) => {}
        }
    }

    /// Returns when the code waits for what has not arrived and nothing else is going on.
    pub(super) async fn parked(&self) {
        let mut activity = self.activity.subscribe();
        loop {
            let before = activity.borrow_and_update().changes;
            if !self.may_park() {
                if activity.changed().await.is_err() {
                    return std::future::pending().await;
                }
                continue;
            }
            tokio::time::sleep(PARK_AFTER).await;
            if activity.borrow().changes == before && self.may_park() {
                return;
            }
        }
    }

    fn may_park(&self) -> bool {
        self.engine().is_parked() && self.next_alarm().is_none_or(|left| left > NAP)
    }
}
