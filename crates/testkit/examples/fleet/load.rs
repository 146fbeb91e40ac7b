//! The load: runs are created at a steady rate, whatever became of those before them, so that a
//! moment in which nothing goes on is seen by all whom it would meet.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::clients::Clients;
use crate::follow::live;
use crate::ledger::Ledger;

/// How long the last runs may take to end.
const QUIET: Duration = Duration::from_mins(1);

/// Runs that are being created and followed; it ends with this value.
pub(crate) struct Load {
    clients: Arc<Clients>,
    enough: CancellationToken,
    creating: JoinSet<()>,
}

impl Load {
    /// Creates so many runs of the agent each second.
    pub(crate) fn start(clients: Arc<Clients>, agent: &'static str, rate: u32) -> Self {
        let (enough, mut creating) = (CancellationToken::new(), JoinSet::new());
        creating.spawn(create_all(clients.clone(), agent, rate, enough.clone()));
        Self { clients, enough, creating }
    }

    /// Creates no more, and waits for the end of those that there are.
    pub(crate) async fn finish(mut self) -> Ledger {
        self.enough.cancel();
        let _ = timeout(QUIET, self.creating.join_next()).await;
        // What has not ended by now says so in the ledger.
        self.creating.shutdown().await;
        self.clients.ledger().clone()
    }
}

async fn create_all(
    clients: Arc<Clients>,
    agent: &'static str,
    rate: u32,
    enough: CancellationToken,
) {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    let mut runs = JoinSet::new();
    for number in 1.. {
        tokio::select! {
            biased;
            () = enough.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let clients = clients.clone();
        runs.spawn(async move { live(&clients, agent, number).await });
        while runs.try_join_next().is_some() {}
    }
    runs.join_all().await;
}
