//! Poll: a worker waits for runs of its pools.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::agent::Version;
use tenure_core::{Error, Lease, Name, Payload, Result, Run, TenantId, WorkerId, limits};

use super::{JournalPage, Service};
use crate::ledger::Command;

/// What a worker asks for.
#[derive(Clone, Debug)]
pub struct Poll {
    /// Whose runs.
    pub tenant: Name,
    /// Who asks.
    pub worker: WorkerId,
    /// Of which pools.
    pub pools: BTreeSet<Name>,
    /// How many it can take.
    pub capacity: usize,
    /// How long to wait for the first.
    pub wait: Duration,
}

/// A run, leased to the worker that polled.
#[derive(Clone, Debug)]
pub struct LeasedRun {
    /// The run.
    pub run: Run,
    /// The lease.
    pub lease: Lease,
    /// The agent's name.
    pub agent: Name,
    /// The version that it is pinned to.
    pub version: Arc<Version>,
    /// What it was given.
    pub input: Payload,
    /// The first page of its journal.
    pub journal: JournalPage,
    /// How long the offer, and then the lease, lasts.
    pub ttls: (Duration, Duration),
}

/// What a poll is answered with.
#[derive(Debug)]
pub enum Polled {
    /// Runs; none if there was none in time.
    Runs(Vec<LeasedRun>),
    /// This replica has too much to do.
    Backpressure {
        /// Why.
        reason: String,
        /// When to poll again.
        retry_after: Duration,
    },
}

impl Service {
    /// Waits for runs.
    pub async fn poll(self: &Arc<Self>, poll: Poll) -> Result<Polled> {
        check(&poll)?;
        match self.dispatch.hold() {
            Some(_held) => Ok(Polled::Runs(self.poll_held(poll).await?)),
            None => Ok(Polled::Backpressure {
                reason: format!("this control plane holds {} polls already", limits::POLLS),
                retry_after: Duration::from_secs(1),
            }),
        }
    }

    async fn poll_held(self: &Arc<Self>, poll: Poll) -> Result<Vec<LeasedRun>> {
        let tenant = self.tenant_id(&poll.tenant).await?;
        let capacity = poll.capacity.min(limits::LEASES);
        let wait = poll.wait.min(limits::LONG_POLL);
        let offer = self.dispatch.wait(self, tenant, poll.pools, poll.worker, capacity, wait).await;
        // From here on dropping this future, because the poller has gone, gives the offer back.
        let Some(mut offer) = offer else { return Ok(Vec::new()) };
        let mut leased = Vec::with_capacity(offer.runs.len());
        // Built one by one: a message has a limit, what does not fit goes back to the queue.
        let mut size = 0;
        for run in &offer.runs {
            let full = self.leased_run(tenant, run).await?;
            size += weight(&full);
            if size > limits::GRPC_MESSAGE * 3 / 4 && !leased.is_empty() {
                break;
            }
            leased.push(full);
        }
        offer.runs.drain(..leased.len());
        Ok(leased)
    }

    async fn leased_run(&self, tenant: TenantId, run: &Run) -> Result<LeasedRun> {
        let lease = run.lease_held().cloned();
        let lease =
            lease.ok_or_else(|| Error::internal(format!("{} was offered unleased", run.id)))?;
        let version = self.version(tenant, run.agent, run.version).await?;
        let journal = match run.next_seq {
            1 => JournalPage { entries: Vec::new(), more: false },
            _ => self.journal_page(run, 0, limits::JOURNAL_PAGE).await?,
        };
        Ok(LeasedRun {
            lease,
            agent: self.agent_name(tenant, run.agent).await?,
            version: version
                .ok_or_else(|| Error::internal(format!("{} has no version", run.id)))?,
            input: self.full_run(tenant, run.id).await?.input,
            journal,
            ttls: (self.settings.offer_ttl, self.settings.lease_ttl),
            run: run.clone(),
        })
    }

    /// Gives back an offer that nobody received. One that was taken up meanwhile stays.
    pub(crate) async fn withdraw(&self, run: &Run) {
        let Some(lease) = run.lease_held().map(|lease| lease.id) else { return };
        let (tenant, run) = (run.tenant, run.id);
        let decide = Box::new(move |run: &Run, now| run.withdraw(lease, now).map(Some));
        if let Err(error) = self.ledger.apply(Command::Change { tenant, run, decide }).await {
            tracing::debug!(%run, %error, "an offer could not be withdrawn; it will expire");
        }
    }

    pub(crate) fn offer_ttl(&self) -> Duration {
        self.settings.offer_ttl.min(self.settings.lease_ttl)
    }
}

fn check(poll: &Poll) -> Result<()> {
    if poll.pools.is_empty() {
        return Err(Error::invalid("pools is empty: name at least one"));
    }
    if poll.pools.len() > limits::POOLS {
        let what = "the number of pools in one poll";
        return Err(Error::too_large(what, poll.pools.len(), limits::POOLS));
    }
    if poll.capacity == 0 {
        return Err(Error::invalid("capacity is 0: poll when there is room for a run"));
    }
    Ok(())
}

fn weight(leased: &LeasedRun) -> usize {
    let payload = |entry: &tenure_core::Entry| match &entry.record.status {
        tenure_core::EntryStatus::Succeeded(payload) => payload.data.len() + 256,
        tenure_core::EntryStatus::Failed(failure) => failure.message.len() + 256,
    };
    leased.input.data.len() + leased.journal.entries.iter().map(payload).sum::<usize>()
}
