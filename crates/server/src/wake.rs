//! Wake-ups: "look again, something may have changed". Hints, never the truth.
//!
//! Register before you look, look, then wait: what changes in between has left a permit in the
//! subscription's `Notify`. Hints go to the subscribers in this process at once, and through the
//! store to those in other processes, many at a time and never inside a transaction.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tenure_store::{Hint, Store};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio_util::sync::CancellationToken;

/// Who waits for what.
pub(crate) struct Wake {
    /// There may be messages between runs to deliver; this replica will do.
    pub(crate) posted: Notify,
    topics: Arc<Topics>,
    remote: mpsc::UnboundedSender<Hint>,
    outbox: Mutex<Option<mpsc::UnboundedReceiver<Hint>>>,
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
        let (remote, outbox) = mpsc::unbounded_channel();
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
            // No receiver means that this replica is shutting down.
            let _ = self.remote.send(hint);
        }
    }

    /// Carries hints from and to other processes, until `shutdown`.
    pub(crate) async fn exchange(&self, store: &dyn Store, shutdown: &CancellationToken) {
        let outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(outbox) = outbox else { return };
        tokio::select! {
            () = announce(store, outbox) => {}
            () = self.listen(store.hints()) => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn listen(&self, mut hints: broadcast::Receiver<Hint>) {
        loop {
            match hints.recv().await {
                Ok(hint) => self.topics.notify(&hint),
                Err(broadcast::error::RecvError::Lagged(_)) => self.topics.notify_all(),
                Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
            }
        }
    }
}

/// Sends what has gathered while the last announcement was under way, each hint once.
async fn announce(store: &dyn Store, mut outbox: mpsc::UnboundedReceiver<Hint>) {
    let mut gathered = Vec::new();
    while outbox.recv_many(&mut gathered, 1_000).await > 0 {
        let once: HashSet<Hint> = gathered.drain(..).collect();
        let once: Vec<Hint> = once.into_iter().collect();
        if let Err(error) = store.announce(&once).await {
            tracing::debug!(%error, "wake-ups for other replicas were lost; they will look by themselves");
        }
    }
}

impl Topics {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Hint, Vec<Arc<Notify>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
