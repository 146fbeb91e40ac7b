//! A crew: workers that poll all the time and pass on what they were leased.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tenure_sdk::v1::LeasedRun;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::crowd::hand::Hand;

/// How long the next run may take to arrive before it counts as lost.
const LOST: Duration = Duration::from_mins(1);
/// Runs that wait to be looked at before workers stop polling.
const BACKLOG: usize = 64;

/// Workers that poll for as long as this value lives.
pub(crate) struct Crew {
    runs: mpsc::Receiver<anyhow::Result<Arrived>>,
    _polling: JoinSet<()>,
}

/// A run that was leased.
pub(crate) struct Arrived {
    /// When the worker had it.
    pub(crate) at: Instant,
    /// The worker.
    pub(crate) hand: Arc<Hand>,
    /// The run.
    pub(crate) run: LeasedRun,
}

impl Crew {
    /// Starts polling, each worker for up to so many runs at a time.
    pub(crate) fn start(hands: &[Arc<Hand>], capacity: u32) -> Self {
        let (sender, runs) = mpsc::channel(BACKLOG);
        let mut polling = JoinSet::new();
        for hand in hands {
            polling.spawn(poll(hand.clone(), capacity, sender.clone()));
        }
        Self { runs, _polling: polling }
    }

    /// The next run.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Arrived> {
        let next = timeout(LOST, self.runs.recv()).await;
        next.with_context(|| format!("no run was leased for {LOST:?}"))?
            .context("all workers have stopped")?
    }

    /// The next so many runs.
    pub(crate) async fn gather(&mut self, count: usize) -> anyhow::Result<Vec<Arrived>> {
        let mut gathered = Vec::with_capacity(count);
        while gathered.len() < count {
            let next = self.next().await;
            let have = gathered.len();
            gathered.push(next.with_context(|| format!("{have} of {count} runs were leased"))?);
        }
        Ok(gathered)
    }

    /// An error if a run was leased that nobody has looked at.
    pub(crate) fn is_idle(&mut self) -> anyhow::Result<()> {
        let unexpected = self.runs.try_recv().ok().transpose()?;
        let run = unexpected.map(|arrived| arrived.run.run);
        ensure!(run.is_none(), "{} woke up by itself", run.unwrap_or_default());
        Ok(())
    }
}

async fn poll(hand: Arc<Hand>, capacity: u32, runs: mpsc::Sender<anyhow::Result<Arrived>>) {
    loop {
        let polled = hand.poll(capacity).await;
        let at = Instant::now();
        let arrived: Vec<_> = match polled {
            Ok(polled) => {
                polled.into_iter().map(|run| Ok(Arrived { at, hand: hand.clone(), run })).collect()
            }
            Err(error) => vec![Err(error)],
        };
        for one in arrived {
            if runs.send(one).await.is_err() {
                return;
            }
        }
    }
}

/// Does something that takes a while for each of these, so many at a time; the results in no order.
pub(crate) async fn each<T, R, F>(
    items: impl IntoIterator<Item = T>,
    at_once: usize,
    work: impl Fn(T) -> F,
) -> anyhow::Result<Vec<R>>
where
    F: Future<Output = anyhow::Result<R>> + Send + 'static,
    R: Send + 'static,
{
    let (mut working, mut results) = (JoinSet::new(), Vec::new());
    for item in items {
        if working.len() >= at_once
            && let Some(done) = working.join_next().await
        {
            results.push(done??);
        }
        working.spawn(work(item));
    }
    while let Some(done) = working.join_next().await {
        results.push(done??);
    }
    Ok(results)
}
