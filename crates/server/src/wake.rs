//! Wake-ups: "look again, something may have changed". Hints, never the truth.
//!
//! Register before you look, look, then wait: what changes in between has left a permit in the
//! subscription's `Notify`. Hints go to the subscribers in this process at once, and by a carrier to
//! those in other processes, many at a time and never inside a transaction. What happens to runs is
//! told elsewhere only while somebody there says that he watches: every step of every run is news,
//! and nearly always nobody asks.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tenure_core::{RunId, TenantId};
use tenure_store::Hint;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::carrier::{self, Carrier, Heard};
use crate::ledger::Memory;

/// Hints that may wait for the carrier; more are dropped.
const OUTBOX: usize = 10_000;
/// Hints that are announced together.
const BATCH: usize = 1_000;

/// Who waits for what.
pub(crate) struct Wake {
    /// There may be messages between runs to deliver; this replica will do.
    pub(crate) posted: Notify,
    topics: Arc<Topics>,
    remote: mpsc::Sender<Hint>,
    outbox: Mutex<Option<mpsc::Receiver<Hint>>>,
    /// A number that tells this process from the others: what is announced comes back.
    me: u64,
}

struct Topics {
    waiting: Mutex<HashMap<Hint, Vec<Arc<Ear>>>>,
    /// Runs that are watched elsewhere, and when that was said.
    watched: Cache<(TenantId, RunId), Instant>,
    /// What has changed here not long ago.
    memory: Arc<Memory>,
}

/// What hears a hint.
#[derive(Default)]
struct Ear {
    notify: Notify,
    /// Whether there was one since it was last asked.
    told: AtomicBool,
}

/// Waits for hints; deregisters when dropped.
pub(crate) struct Subscription {
    topics: Arc<Topics>,
    hints: Vec<Hint>,
    ear: Arc<Ear>,
}

/// How long a run counts as watched elsewhere after that was said, and how often it is said.
const WATCHED: Duration = Duration::from_mins(1);
const WATCHING: Duration = Duration::from_secs(20);
/// Runs that are watched elsewhere at a time, about.
const WATCHES: usize = 20_000;

impl Wake {
    pub(crate) fn new(memory: Arc<Memory>, me: u64) -> Self {
        let (remote, outbox) = mpsc::channel(OUTBOX);
        let posted = Notify::new();
        let topics = Topics { waiting: Mutex::default(), watched: Cache::of(WATCHES), memory };
        Self { posted, topics: Arc::new(topics), remote, outbox: Mutex::new(Some(outbox)), me }
    }

    /// Registers for these hints from now on.
    pub(crate) fn subscribe(&self, hints: impl IntoIterator<Item = Hint>) -> Subscription {
        let ear = Arc::new(Ear::default());
        let hints: Vec<Hint> = hints.into_iter().collect();
        let mut topics = self.topics.lock();
        for hint in &hints {
            topics.entry(hint.clone()).or_default().push(ear.clone());
        }
        drop(topics);
        Subscription { topics: self.topics.clone(), hints, ear }
    }

    /// Says elsewhere that this run is watched here, unless it was said not long ago.
    pub(crate) fn watch(&self, tenant: TenantId, run: RunId, said: &mut Option<Instant>) {
        if said.is_none_or(|said| said.elapsed() > WATCHING) {
            *said = Some(Instant::now());
            let _ = self.remote.try_send(Hint::Watched(tenant, run, self.me));
        }
    }

    /// Whether somebody in another process has said not long ago that he watches this run.
    pub(crate) fn is_watched_elsewhere(&self, place: (TenantId, RunId)) -> bool {
        self.topics.is_watched(&place)
    }

    /// Wakes who waits for these hints, here and elsewhere.
    pub(crate) fn tell(&self, hints: impl IntoIterator<Item = Hint>) {
        for hint in hints {
            self.topics.notify(&hint);
            if self.topics.concerns_others(&hint) {
                // Full means that the carrier is slow, closed that this replica is shutting down.
                let _ = self.remote.try_send(hint);
            }
        }
    }

    /// Carries hints from and to other processes, until `shutdown`.
    pub(crate) async fn exchange(&self, carrier: &dyn Carrier, shutdown: &CancellationToken) {
        let outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(outbox) = outbox else { return };
        let (topics, remote, me) = (self.topics.clone(), self.remote.clone(), self.me);
        let ear: carrier::Ear = Arc::new(move |heard| match heard {
            Heard::Hint(Hint::Watched(_, _, by)) if by == me => {}
            heard => topics.hear(&heard, &remote),
        });
        let both = async { tokio::join!(announce(carrier, outbox), carrier.listen(ear)) };
        tokio::select! {
            _ = both => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// Sends what has gathered while the last announcement was under way, each hint once.
async fn announce(carrier: &dyn Carrier, mut outbox: mpsc::Receiver<Hint>) {
    let mut gathered = Vec::new();
    while outbox.recv_many(&mut gathered, BATCH).await > 0 {
        let once: HashSet<Hint> = gathered.drain(..).collect();
        let once: Vec<Hint> = once.into_iter().collect();
        // What was lost, those whom it would have woken find by themselves.
        let _ = carrier.announce(&once).await;
    }
}

impl Topics {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Hint, Vec<Arc<Ear>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, heard: &Heard, remote: &mpsc::Sender<Hint>) {
        match heard {
            Heard::Hint(Hint::Watched(tenant, run, _)) => {
                self.watched.put((*tenant, *run), Instant::now());
                self.tell_watcher(*tenant, *run, remote);
            }
            Heard::Hint(hint) => self.notify(hint),
            Heard::Missed => self.notify_all(),
        }
    }

    /// What happened here before it was heard that somebody watches, he may have missed.
    fn tell_watcher(&self, tenant: TenantId, run: RunId, remote: &mpsc::Sender<Hint>) {
        let Some(known) = self.memory.get((tenant, run)) else { return };
        let _ = remote.try_send(Hint::Run(tenant, run));
        if known.state.is_terminal() {
            let _ = remote.try_send(Hint::Ended(tenant, run));
        }
    }

    fn concerns_others(&self, hint: &Hint) -> bool {
        match hint {
            Hint::Run(tenant, run) | Hint::Ended(tenant, run) => self.is_watched(&(*tenant, *run)),
            Hint::Pool(..) | Hint::Worker(_) | Hint::Watched(..) => true,
        }
    }

    fn is_watched(&self, place: &(TenantId, RunId)) -> bool {
        self.watched.get(place).is_some_and(|said| said.elapsed() < WATCHED)
    }

    fn notify(&self, hint: &Hint) {
        for ear in self.lock().get(hint).into_iter().flatten() {
            ear.tell();
        }
    }

    fn notify_all(&self) {
        self.lock().values().flatten().for_each(|ear| ear.tell());
    }
}

impl Ear {
    fn tell(&self) {
        self.told.store(true, Ordering::Release);
        self.notify.notify_one();
    }
}

impl Subscription {
    /// Returns when one of the hints was told since the last time, or since the registration.
    pub(crate) async fn changed(&self) {
        self.ear.notify.notified().await;
    }

    /// Whether one was told since the last [`look`](Self::look).
    pub(crate) fn was_told(&self) -> bool {
        self.ear.told.load(Ordering::Acquire)
    }

    /// Whoever calls this looks for himself now: what was told before is old.
    pub(crate) fn look(&self) {
        self.ear.told.store(false, Ordering::Release);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut topics = self.topics.lock();
        for hint in &self.hints {
            if let Some(waiting) = topics.get_mut(hint) {
                waiting.retain(|other| !Arc::ptr_eq(other, &self.ear));
                if waiting.is_empty() {
                    topics.remove(hint);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_carries_does_not_pile_up() {
        let wake = Wake::new(Arc::default(), 0);
        let hint = Hint::Worker(tenure_core::WorkerId::new(uuid::Uuid::nil()));
        let here = wake.subscribe([hint.clone()]);
        wake.tell(std::iter::repeat_n(hint, OUTBOX + 1));
        assert_eq!(wake.remote.capacity(), 0);
        here.changed().await;
    }
}
