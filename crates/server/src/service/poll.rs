//! Poll: a worker waits for runs of its pools.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tenure_core::agent::Version;
use tenure_core::{Error, Lease, Name, Payload, Result, Run, RunId, WorkerId, limits};

use super::{JournalPage, Service};
use crate::dispatch::Offered;
use crate::ledger::Command;

/// What a worker asks for.
#[derive(Clone, Debug)]
pub struct Poll {
    /// Whose runs.
    pub tenants: BTreeSet<Name>,
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
    /// The tenant's name.
    pub tenant: Name,
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
    /// What is checked, if the run only checks; then input and journal are those of that run.
    pub check: Option<Checked>,
}

/// The run that a check run checks.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// Which.
    pub run: RunId,
    /// How many entries its journal has.
    pub entries: u64,
    /// How many entries its inbox has.
    pub inbox: u64,
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

    /// How many polls this replica holds.
    pub fn held_polls(&self) -> usize {
        self.dispatch.held()
    }

    /// How many of them would be given a run as soon as it is created.
    pub fn idle_polls(&self) -> usize {
        self.dispatch.idle()
    }

    /// Answers the polls of a worker that polls no more.
    pub fn leave(&self, worker: WorkerId) {
        self.dispatch.leave(worker);
    }

    async fn poll_held(self: &Arc<Self>, poll: Poll) -> Result<Vec<LeasedRun>> {
        let mut tenants = BTreeMap::new();
        for name in poll.tenants {
            tenants.insert(self.tenant_id(&name).await?, name);
        }
        let places =
            tenants.keys().flat_map(|tenant| poll.pools.iter().map(|pool| (*tenant, pool)));
        let places = places.map(|(tenant, pool)| (tenant, pool.clone())).collect();
        let capacity = poll.capacity.min(limits::LEASES);
        let wait = poll.wait.min(limits::LONG_POLL);
        let offer = self.dispatch.wait(self, places, poll.worker, capacity, wait).await;
        // From here on dropping this future, because the poller has gone, gives the offer back.
        let Some(mut offer) = offer else { return Ok(Vec::new()) };
        self.read_inputs(&mut offer.runs).await?;
        let mut leased = Vec::with_capacity(offer.runs.len());
        // Built one by one: a message has a limit, what does not fit goes back to the queue.
        let mut size = 0;
        for offered in &offer.runs {
            let tenant = tenants.get(&offered.run.tenant).cloned();
            let tenant = tenant
                .ok_or_else(|| Error::internal(format!("{} was not polled for", offered.run.id)))?;
            let full = self.leased_run(tenant, offered).await?;
            size += weight(&full);
            if size > limits::GRPC_MESSAGE * 3 / 4 && !leased.is_empty() {
                break;
            }
            leased.push(full);
        }
        offer.runs.drain(..leased.len());
        Ok(leased)
    }

    /// What those of the offered runs were given that it is not known of.
    async fn read_inputs(&self, offered: &mut [Offered]) -> Result<()> {
        let source = |run: &Run| (run.tenant, run.check.unwrap_or(run.id));
        let unknown = offered.iter().filter(|offered| {
            // What a check run was given itself is nothing.
            offered.input.is_none() || offered.run.check.is_some()
        });
        let unknown: Vec<_> = unknown.map(|offered| source(&offered.run)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let read = self.store.read_inputs(&unknown).await?;
        let read: HashMap<_, _> = unknown.into_iter().zip(read).collect();
        for offered in offered {
            if let Some(Some(input)) = read.get(&source(&offered.run)) {
                offered.input = Some(input.clone());
            }
        }
        Ok(())
    }

    async fn leased_run(&self, tenant: Name, offered: &Offered) -> Result<LeasedRun> {
        let run = &offered.run;
        let lease = run.lease_held().cloned();
        let lease =
            lease.ok_or_else(|| Error::internal(format!("{} was offered unleased", run.id)))?;
        let version = self.version(run.tenant, run.agent, run.version).await?;
        let checked = match run.check {
            Some(checked) => Some(self.full_run(run.tenant, checked).await?.run),
            None => None,
        };
        let read = checked.as_ref().unwrap_or(run);
        let journal = match read.next_seq {
            1 => JournalPage { entries: Vec::new(), more: false },
            _ => self.journal_page(read, 0, limits::JOURNAL_PAGE).await?,
        };
        let input = offered.input.clone();
        Ok(LeasedRun {
            lease,
            tenant,
            agent: self.agent_name(run.tenant, run.agent).await?,
            version: version
                .ok_or_else(|| Error::internal(format!("{} has no version", run.id)))?,
            check: checked.as_ref().map(|checked| Checked {
                run: checked.id,
                entries: checked.next_seq - 1,
                inbox: checked.inbox,
            }),
            journal,
            input: input.ok_or_else(|| Error::internal(format!("{} has no input", run.id)))?,
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
    if poll.tenants.is_empty() {
        return Err(Error::invalid("tenants is empty: name at least one"));
    }
    if poll.tenants.len() > limits::TENANTS {
        let what = "the number of tenants in one poll";
        return Err(Error::too_large(what, poll.tenants.len(), limits::TENANTS));
    }
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
    let entry = |entry: &tenure_core::Entry| entry.record.status.size() + 256;
    leased.input.data.len() + leased.journal.entries.iter().map(entry).sum::<usize>()
}
