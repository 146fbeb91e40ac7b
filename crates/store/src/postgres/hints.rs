//! Hints between processes: NOTIFY on one channel, received by one connection per process.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::{Hint, Result};

pub(super) const STATEMENTS: &[&str] = &[ANNOUNCE];

const CHANNEL: &str = "tenure_hints";
/// Hints that a slow receiver may be behind before it is told that it has missed some.
const BACKLOG: usize = 4096;
/// The pause before a lost connection is tried again: hints are no reason to hurry.
const PAUSE: Duration = Duration::from_secs(1);

/// The connection that listens, for as long as this value lives.
pub(super) struct Hints {
    sender: broadcast::Sender<Hint>,
    task: JoinHandle<()>,
}

impl Hints {
    /// Starts listening; what is announced after this returns is received.
    pub(super) async fn listen(options: PgConnectOptions) -> Result<Self> {
        // A pool of its own: the connection never goes back, and must not count among the others.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        let (sender, _) = broadcast::channel(BACKLOG);
        let task = tokio::spawn(forward(listener, sender.clone()));
        Ok(Self { sender, task })
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Hint> {
        self.sender.subscribe()
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes hints on for ever. The listener connects again by itself; what is announced meanwhile is
/// lost, as hints may be.
async fn forward(mut listener: PgListener, sender: broadcast::Sender<Hint>) {
    loop {
        match listener.recv().await {
            Ok(notification) => {
                if let Some(hint) = Hint::decode(notification.payload()) {
                    // Nobody may be subscribed just now.
                    let _ = sender.send(hint);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no hints from the database: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

const ANNOUNCE: &str = "-- announce
SELECT pg_notify('tenure_hints', hint) FROM unnest($1::text[]) AS hint";

/// On the pool and by itself: inside a business transaction NOTIFY would take a lock on the whole
/// database until the commit (measured: a fifth of the rate).
pub(super) async fn announce(pool: &PgPool, hints: &[Hint]) -> Result<()> {
    if hints.is_empty() {
        return Ok(());
    }
    let hints: Vec<_> = hints.iter().map(Hint::encode).collect();
    sqlx::query(ANNOUNCE).bind(hints).execute(pool).await?;
    Ok(())
}
