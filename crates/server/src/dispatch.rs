//! Dispatch: one claimer per replica and set of pools, however many workers are polling.
//!
//! A poll puts itself in line. The claimer of its pools sleeps while nobody is in line; else it
//! registers for wake-ups, claims as many runs as there is room for, hands them out one by one in
//! turn, and waits: for a wake-up, or for its next look in case one was lost. So a thousand idle
//! workers cost as many queries as one.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tenure_core::{LeaseId, Name, Run, TenantId, Transition, WorkerId, limits};
use tenure_store::{Hint, StoreError};
use tokio::sync::{Notify, oneshot};

use crate::service::{Service, effects};

/// Who is in line, by tenant and pools.
#[derive(Default)]
pub(crate) struct Dispatch {
    lines: Mutex<HashMap<Place, Arc<Line>>>,
    /// Polls that are held now.
    held: Arc<AtomicUsize>,
}

/// What tells one line from another.
type Place = (TenantId, BTreeSet<Name>);

/// Runs that were leased to one poller and have not reached it yet. Those that are in it when it is
/// dropped, because the poller has gone, are given back.
pub(crate) struct Offer {
    pub(crate) runs: Vec<Run>,
    service: Arc<Service>,
}

impl Drop for Offer {
    fn drop(&mut self) {
        for run in self.runs.drain(..) {
            let service = self.service.clone();
            tokio::spawn(async move { service.withdraw(&run).await });
        }
    }
}

struct Line {
    tenant: TenantId,
    pools: BTreeSet<Name>,
    waiting: Mutex<VecDeque<Waiter>>,
    /// The ticket of the next poll that gets in line.
    ticket: AtomicUsize,
    /// Told when somebody gets in line.
    joined: Notify,
}

struct Waiter {
    /// Tells it from another poll of the same worker.
    ticket: usize,
    worker: WorkerId,
    capacity: usize,
    offer: oneshot::Sender<Offer>,
}

/// A poll that is held, counted until it is dropped.
pub(crate) struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a claimer stays when nobody is in line.
const LINGER: Duration = Duration::from_mins(1);

impl Dispatch {
    /// A place for one more poll, if this replica can hold one.
    pub(crate) fn hold(&self) -> Option<Held> {
        let held = Held(self.held.clone());
        (self.held.fetch_add(1, Ordering::Relaxed) < limits::POLLS).then_some(held)
    }

    /// Waits in line for up to `wait`.
    pub(crate) async fn wait(
        &self,
        service: &Arc<Service>,
        tenant: TenantId,
        pools: BTreeSet<Name>,
        worker: WorkerId,
        capacity: usize,
        wait: Duration,
    ) -> Option<Offer> {
        let (sender, mut offer) = oneshot::channel();
        self.join(service, tenant, pools, Waiter { ticket: 0, worker, capacity, offer: sender });
        if let Ok(offered) = tokio::time::timeout(wait, &mut offer).await {
            return offered.ok();
        }
        // No more offers from here on; one that was made in this very moment still counts.
        offer.close();
        offer.try_recv().ok()
    }

    fn join(
        &self,
        service: &Arc<Service>,
        tenant: TenantId,
        pools: BTreeSet<Name>,
        waiter: Waiter,
    ) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry((tenant, pools)).or_insert_with_key(|(tenant, pools)| {
            let (tenant, pools) = (*tenant, pools.clone());
            let (waiting, joined) = (Mutex::default(), Notify::new());
            let ticket = AtomicUsize::new(0);
            let line = Arc::new(Line { tenant, pools, waiting, ticket, joined });
            tokio::spawn(claim_for(Arc::downgrade(service), line.clone()));
            line
        });
        let ticket = line.ticket.fetch_add(1, Ordering::Relaxed);
        line.lock().push_back(Waiter { ticket, ..waiter });
        line.joined.notify_one();
    }

    /// Removes a line that nobody is in; false if somebody has just joined.
    fn retire(&self, line: &Line) -> bool {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = line.lock().is_empty();
        if empty {
            lines.remove(&(line.tenant, line.pools.clone()));
        }
        empty
    }
}

impl Line {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets pollers that have gone; whether anybody is left.
    fn is_waiting(&self) -> bool {
        let mut waiting = self.lock();
        waiting.retain(|waiter| !waiter.offer.is_closed());
        !waiting.is_empty()
    }

    /// Who gets the next runs: everybody in line in turn, up to what each has room for.
    fn turns(&self) -> Vec<(usize, WorkerId)> {
        let waiting = self.lock();
        let most = waiting.iter().map(|waiter| waiter.capacity).max().unwrap_or(0);
        let round = |turn| {
            let room = waiting.iter().filter(move |waiter| waiter.capacity > turn);
            room.map(|waiter| (waiter.ticket, waiter.worker))
        };
        (0..most).flat_map(round).take(limits::LEASES).collect()
    }

    /// Hands runs to the polls whose turn it was. What a poll that has gone was given comes back by
    /// dropping its offer.
    fn hand_out(&self, service: &Arc<Service>, runs: Vec<(usize, Run)>) {
        let mut offers: HashMap<usize, Offer> = HashMap::new();
        for (ticket, run) in runs {
            let empty = || Offer { runs: Vec::new(), service: service.clone() };
            offers.entry(ticket).or_insert_with(empty).runs.push(run);
        }
        let mut waiting = self.lock();
        let in_line = std::mem::take(&mut *waiting);
        for waiter in in_line {
            match offers.remove(&waiter.ticket) {
                Some(offer) => drop(waiter.offer.send(offer)),
                None => waiting.push_back(waiter),
            }
        }
    }
}

/// Claims for one line until nobody has been in it for a while, or the service has gone.
async fn claim_for(weak: Weak<Service>, line: Arc<Line>) {
    loop {
        let Some(service) = weak.upgrade() else { return };
        if !line.is_waiting() {
            // Not held while asleep: the service may end meanwhile.
            drop(service);
            let joined = tokio::time::timeout(LINGER, line.joined.notified()).await;
            let Some(service) = weak.upgrade() else { return };
            if joined.is_err() && service.dispatch().retire(&line) {
                return;
            }
            continue;
        }
        let hint = |pool: &Name| Hint::Pool(line.tenant, pool.clone());
        // Register, then look: what becomes ready in between is not missed.
        let ready = service.subscribe(line.pools.iter().map(hint));
        match service.claim(&line).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, "could not claim runs; trying again"),
        }
        tokio::select! {
            () = ready.changed() => {}
            () = line.joined.notified() => {}
            () = tokio::time::sleep(service.tick()) => {}
        }
    }
}

impl Service {
    /// Leases ready runs to those in line; how many.
    async fn claim(self: &Arc<Self>, line: &Line) -> Result<usize, StoreError> {
        let turns = line.turns();
        let pools: Vec<Name> = line.pools.iter().cloned().collect();
        let mut tx = self.store().begin().await?;
        let (now, ready) = tx.lock_ready(line.tenant, &pools, turns.len()).await?;
        let lease = |(run, (ticket, worker)): (&Run, &(usize, WorkerId))| {
            let id = LeaseId::new(self.entropy().lease_id());
            // A run that is not ready after all stays where it is.
            let leased = run.lease(id, *worker, now, self.offer_ttl()).ok()?;
            Some((*ticket, leased))
        };
        let leased = ready.iter().zip(&turns).filter_map(lease);
        let (tickets, leased): (Vec<usize>, Vec<Transition>) = leased.unzip();
        // Also if nothing was leased: stale rows of the queue may have been cleared away.
        tx.save(&leased).await?;
        tx.commit().await?;
        self.tell(effects::hints(&leased));
        let runs = leased.into_iter().map(|transition| transition.run);
        let runs: Vec<(usize, Run)> = tickets.into_iter().zip(runs).collect();
        let claimed = runs.len();
        line.hand_out(self, runs);
        Ok(claimed)
    }
}
