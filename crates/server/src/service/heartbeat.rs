//! Heartbeat: all leases of a worker are extended, and it hears what is new about them.

use std::collections::HashSet;
use std::time::Duration;

use tenure_core::{
    Error, LeaseId, Name, Result, Run, RunId, TenantId, Timestamp, Transition, WorkerId, limits,
};
use tenure_store::{Hint, Locked};
use tokio::time::Instant;

use super::Service;

/// A lease that a worker says it holds, and what it knows about the run.
#[derive(Clone, Copy, Debug)]
pub struct HeldLease {
    /// The run.
    pub run: RunId,
    /// The lease.
    pub lease: LeaseId,
    /// The inbox counter that it knows.
    pub inbox: u64,
    /// Whether it knows that a cancel was asked for.
    pub cancel_requested: bool,
    /// Whether it knows that a pause was asked for.
    pub pause_requested: bool,
}

/// What is new about a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseNews {
    /// The run.
    pub run: RunId,
    /// The lease.
    pub lease: LeaseId,
    /// Somebody else owns the run, or it has ended.
    pub lost: bool,
    /// A cancel was asked for.
    pub cancel_requested: bool,
    /// A pause was asked for; it may be taken back.
    pub pause_requested: bool,
    /// The inbox counter.
    pub inbox: u64,
}

impl Service {
    /// Extends the leases at once, then waits up to `wait` for news about them; the news.
    pub async fn heartbeat(
        &self,
        tenant: &Name,
        worker: WorkerId,
        leases: &[HeldLease],
        wait: Duration,
    ) -> Result<Vec<LeaseNews>> {
        if leases.len() > limits::LEASES {
            let what = "the number of leases in one heartbeat";
            return Err(Error::too_large(what, leases.len(), limits::LEASES));
        }
        let tenant = self.tenant_id(tenant).await?;
        let until = Instant::now() + wait.min(limits::LONG_POLL);
        let changed = self.wake.subscribe([Hint::Worker(worker)]);
        loop {
            let news = self.beat_all(tenant, leases).await?;
            if !news.is_empty() {
                return Ok(news);
            }
            tokio::select! {
                () = changed.changed() => {}
                () = tokio::time::sleep_until(until) => return Ok(news),
            }
        }
    }

    /// Extends all leases; the news. Rows that somebody else has locked are looked at again until
    /// they are free: what is not extended must not be answered like what is.
    async fn beat_all(&self, tenant: TenantId, leases: &[HeldLease]) -> Result<Vec<LeaseNews>> {
        let (mut news, mut busy) = self.beat(tenant, leases).await?;
        for _ in 0..BUSY_LOOKS {
            if busy.is_empty() {
                return Ok(news);
            }
            tokio::time::sleep(BUSY).await;
            let (more, left) = self.beat(tenant, &busy).await?;
            news.extend(more);
            busy = left;
        }
        match busy.first() {
            None => Ok(news),
            Some(held) => Err(Error::unavailable("a run is busy; beat again", held.run)),
        }
    }

    /// Extends those leases whose rows are free; the news, and the others.
    async fn beat(
        &self,
        tenant: TenantId,
        leases: &[HeldLease],
    ) -> Result<(Vec<LeaseNews>, Vec<HeldLease>)> {
        let mut beats = Beats::default();
        if leases.is_empty() {
            return Ok((beats.news, beats.busy));
        }
        let mut runs: Vec<(TenantId, RunId)> =
            leases.iter().map(|held| (tenant, held.run)).collect();
        runs.sort_unstable();
        runs.dedup();
        let mut tx = self.store.begin().await?;
        let (now, locked) = tx.lock_runs(&runs).await?;
        for held in leases {
            let place = runs.binary_search(&(tenant, held.run)).ok();
            let found = place.and_then(|place| locked.get(place));
            beats.add(held, found, now, self.settings.lease_ttl);
        }
        tx.save(&beats.transitions).await?;
        tx.commit().await?;
        self.saved(&beats.transitions);
        Ok((beats.news, beats.busy))
    }
}

/// What becomes of the leases of one heartbeat.
#[derive(Default)]
struct Beats {
    transitions: Vec<Transition>,
    /// A run that is named twice is saved once.
    saved: HashSet<RunId>,
    news: Vec<LeaseNews>,
    busy: Vec<HeldLease>,
}

impl Beats {
    fn add(&mut self, held: &HeldLease, found: Option<&Locked>, now: Timestamp, ttl: Duration) {
        match found {
            Some(Locked::Run(run)) => match run.beat(held.lease, now, ttl) {
                Ok(beaten) => {
                    self.news.extend(news_of(held, run));
                    if self.saved.insert(held.run) {
                        self.transitions.push(beaten);
                    }
                }
                Err(_) => self.news.push(lost(held)),
            },
            Some(Locked::Busy) => self.busy.push(*held),
            Some(Locked::Missing) | None => self.news.push(lost(held)),
        }
    }
}

/// The pause before a row that somebody else has locked is looked at again, and how often it is.
const BUSY: Duration = Duration::from_millis(2);
const BUSY_LOOKS: usize = 100;

fn news_of(held: &HeldLease, run: &Run) -> Option<LeaseNews> {
    let (cancel_requested, pause_requested) = (run.cancel_asked().is_some(), run.pause_asked());
    let new = run.inbox > held.inbox
        || (cancel_requested && !held.cancel_requested)
        || pause_requested != held.pause_requested;
    let HeldLease { run: id, lease, .. } = *held;
    let (lost, inbox) = (false, run.inbox);
    new.then_some(LeaseNews { run: id, lease, lost, cancel_requested, pause_requested, inbox })
}

fn lost(held: &HeldLease) -> LeaseNews {
    let HeldLease { run, lease, inbox, cancel_requested, pause_requested } = *held;
    LeaseNews { run, lease, lost: true, cancel_requested, pause_requested, inbox }
}
