//! What carries hints from one control plane to the others.
//!
//! A carrier may lose, repeat and reorder hints, because whoever waits for one also looks by
//! himself. In return it keeps nothing for later, holds nobody up, and its troubles are a line in
//! the log.

mod redis;

use std::sync::Arc;

use async_trait::async_trait;
pub use redis::{Redis, WrongUrl};
use tenure_core::{RunId, StreamEvent, TenantId};
use tenure_store::{Hint, Store};
use tokio::sync::broadcast::error::RecvError;

/// Carries hints between the processes of one installation.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// Tells the other processes, and perhaps this one again. Done or given up within seconds.
    async fn announce(&self, hints: &[Hint]) -> Result<(), Lost>;

    /// Passes on what is announced, from now on and until it is dropped. It may be called once.
    async fn listen(&self, ear: Ear);

    /// Takes events of runs to the processes that follow them. One that does not carry events, as a
    /// database does not, loses all of them: then a follower hears the workers of its own process.
    async fn publish(&self, events: &[(Place, StreamEvent)]) -> Result<(), Lost> {
        let _ = events;
        Err(Lost)
    }

    /// Where events go that come from other processes. It is called once, before the first
    /// [`follow`](Self::follow).
    fn hear(&self, ear: StreamEar) {
        let _ = ear;
    }

    /// This process follows a run from now on, or does not any more.
    async fn follow(&self, place: Place, followed: bool) {
        let _ = (place, followed);
    }
}

/// A run of a tenant.
pub type Place = (TenantId, RunId);

/// Takes what was heard; must not block.
pub type Ear = Arc<dyn Fn(Heard) + Send + Sync>;

/// Takes an event that was published elsewhere; must not block.
pub type StreamEar = Arc<dyn Fn(Place, StreamEvent) + Send + Sync>;

/// What a carrier brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A hint.
    Hint(Hint),
    /// Hints came faster than they were taken, and some are gone: everybody has to look.
    Missed,
}

/// The hints have reached nobody, as far as the carrier knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// The database's own way: NOTIFY on PostgreSQL; nothing on SQLite, which has one process.
pub struct Database(Arc<dyn Store>);

impl Database {
    /// Hints by way of this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

#[async_trait]
impl Carrier for Database {
    async fn announce(&self, hints: &[Hint]) -> Result<(), Lost> {
        self.0.announce(hints).await.map_err(|error| {
            tracing::debug!(%error, "the database did not take hints for other replicas");
            Lost
        })
    }

    async fn listen(&self, ear: Ear) {
        let mut hints = self.0.hints();
        loop {
            match hints.recv().await {
                Ok(hint) => ear(Heard::Hint(hint)),
                Err(RecvError::Lagged(_)) => ear(Heard::Missed),
                Err(RecvError::Closed) => return,
            }
        }
    }
}

/// One carrier, and another one for what the first has lost. Everybody listens to both, so nobody
/// has to agree on which of them is in use.
pub struct Fallback<First, Second> {
    first: First,
    second: Second,
}

impl<First: Carrier, Second: Carrier> Fallback<First, Second> {
    /// `first`, and `second` while `first` cannot be reached.
    pub fn new(first: First, second: Second) -> Self {
        Self { first, second }
    }
}

#[async_trait]
impl<First: Carrier, Second: Carrier> Carrier for Fallback<First, Second> {
    async fn announce(&self, hints: &[Hint]) -> Result<(), Lost> {
        match self.first.announce(hints).await {
            Ok(()) => Ok(()),
            Err(Lost) => self.second.announce(hints).await,
        }
    }

    async fn listen(&self, ear: Ear) {
        tokio::join!(self.first.listen(ear.clone()), self.second.listen(ear));
    }

    async fn publish(&self, events: &[(Place, StreamEvent)]) -> Result<(), Lost> {
        match self.first.publish(events).await {
            Ok(()) => Ok(()),
            Err(Lost) => self.second.publish(events).await,
        }
    }

    fn hear(&self, ear: StreamEar) {
        self.first.hear(ear.clone());
        self.second.hear(ear);
    }

    async fn follow(&self, place: Place, followed: bool) {
        tokio::join!(self.first.follow(place, followed), self.second.follow(place, followed));
    }
}
