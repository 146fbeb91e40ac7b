//! Wake-ups: "look again, something may have changed". Hints, never the truth.
//!
//! Register before you look, look, then wait: what changes in between has left a permit in the
//! subscription's `Notify`. Hints go to the subscribers in this process at once, and by a carrier to
//! those in other processes, many at a time and never inside a transaction.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tenure_store::Hint;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::carrier::{Carrier, Ear, Heard};

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
}

#[derive(Default)]
struct Topics(Mutex<HashMap<Hint, Vec<Arc<Notify>>>>);

/// Waits for hints; deregisters when dropped.
pub(crate) struct Subscription {
    topics: Arc<Topics>,
    hints: Vec<Hint>,
    notify: Arc<Notify>,
}

impl Wake {
    pub(crate) fn new() -> Self {
        let (remote, outbox) = mpsc::channel(OUTBOX);
        let posted = Notify::new();
        Self { posted, topics: Arc::default(), remote, outbox: Mutex::new(Some(outbox)) }
    }

    /// Registers for these hints from now on.
    pub(crate) fn subscribe(&self, hints: impl IntoIterator<Item = Hint>) -> Subscription {
        let notify = Arc::new(Notify::new());
        let hints: Vec<Hint> = hints.into_iter().collect();
        let mut topics = self.topics.lock();
        for hint in &hints {
            topics.entry(hint.clone()).or_default().push(notify.clone());
        }
        drop(topics);
        Subscription { topics: self.topics.clone(), hints, notify }
    }

    /// Wakes who waits for these hints, here and elsewhere.
    pub(crate) fn tell(&self, hints: impl IntoIterator<Item = Hint>) {
        for hint in hints {
            self.topics.notify(&hint);
            // Full means that the carrier is slow, closed that this replica is shutting down.
            let _ = self.remote.try_send(hint);
        }
    }

    /// Carries hints from and to other processes, until `shutdown`.
    pub(crate) async fn exchange(&self, carrier: &dyn Carrier, shutdown: &CancellationToken) {
        let outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(outbox) = outbox else { return };
        let topics = self.topics.clone();
        let ear: Ear = Arc::new(move |heard| topics.hear(&heard));
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
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Hint, Vec<Arc<Notify>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, heard: &Heard) {
        match heard {
            Heard::Hint(hint) => self.notify(hint),
            Heard::Missed => self.notify_all(),
        }
    }

    fn notify(&self, hint: &Hint) {
        for waiting in self.lock().get(hint).into_iter().flatten() {
            waiting.notify_one();
        }
    }

    fn notify_all(&self) {
        self.lock().values().flatten().for_each(|waiting| waiting.notify_one());
    }
}

impl Subscription {
    /// Returns when one of the hints was told since the last time, or since the registration.
    pub(crate) async fn changed(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut topics = self.topics.lock();
        for hint in &self.hints {
            if let Some(waiting) = topics.get_mut(hint) {
                waiting.retain(|other| !Arc::ptr_eq(other, &self.notify));
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
        let wake = Wake::new();
        let hint = Hint::Worker(tenure_core::WorkerId::new(uuid::Uuid::nil()));
        let here = wake.subscribe([hint.clone()]);
        wake.tell(std::iter::repeat_n(hint, OUTBOX + 1));
        assert_eq!(wake.remote.capacity(), 0);
        here.changed().await;
    }
}
