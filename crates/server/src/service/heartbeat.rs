//! Heartbeat: all leases of a worker are extended, and it hears what is new about them.

use std::collections::HashSet;
use std::time::Duration;

use tenure_core::{
    Error, LeaseId, Name, Result, Run, RunId, TenantId, Transition, WorkerId, limits,
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
            let news = self.beat(tenant, leases).await?;
            if !news.is_empty() {
                return Ok(news);
            }
            tokio::select! {
                () = changed.changed() => {}
                () = tokio::time::sleep_until(until) => return Ok(news),
            }
        }
    }

    async fn beat(&self, tenant: TenantId, leases: &[HeldLease]) -> Result<Vec<LeaseNews>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let mut runs: Vec<(TenantId, RunId)> =
            leases.iter().map(|held| (tenant, held.run)).collect();
        runs.sort_unstable();
        runs.dedup();
        let mut tx = self.store.begin().await?;
        let (now, locked) = tx.lock_runs(&runs).await?;
        let found = |run: RunId| {
            let place = runs.binary_search(&(tenant, run)).ok()?;
            locked.get(place)
        };
        let mut transitions: Vec<Transition> = Vec::new();
        // A run that is named twice is saved once.
        let mut saved = HashSet::new();
        let mut news = Vec::new();
        for held in leases {
            match found(held.run) {
                Some(Locked::Run(run)) => {
                    match run.beat(held.lease, now, self.settings.lease_ttl) {
                        Ok(beaten) => {
                            news.extend(news_of(held, run));
                            if saved.insert(held.run) {
                                transitions.push(beaten);
                            }
                        }
                        Err(_) => news.push(lost(held)),
                    }
                }
                // Whoever has the row locked is about to let go of it, and the next beat is due long
                // before the lease is.
                Some(Locked::Busy) => {}
                Some(Locked::Missing) | None => news.push(lost(held)),
            }
        }
        tx.save(&transitions).await?;
        tx.commit().await?;
        Ok(news)
    }
}

fn news_of(held: &HeldLease, run: &Run) -> Option<LeaseNews> {
    let cancel_requested = run.cancel.is_some();
    let new = run.inbox > held.inbox || (cancel_requested && !held.cancel_requested);
    let HeldLease { run: id, lease, .. } = *held;
    new.then_some(LeaseNews { run: id, lease, lost: false, cancel_requested, inbox: run.inbox })
}

fn lost(held: &HeldLease) -> LeaseNews {
    let HeldLease { run, lease, inbox, cancel_requested } = *held;
    LeaseNews { run, lease, lost: true, cancel_requested, inbox }
}
