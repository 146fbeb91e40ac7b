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

/// Runs that were leased to one poller.
pub(crate) struct Offer {
    pub(crate) runs: Vec<Run>,
}

struct Line {
    tenant: TenantId,
    pools: BTreeSet<Name>,
    waiting: Mutex<VecDeque<Waiter>>,
    /// Told when somebody gets in line.
    joined: Notify,
}

struct Waiter {
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
        self.join(service, tenant, pools, Waiter { worker, capacity, offer: sender });
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
            let line = Arc::new(Line { tenant, pools, waiting, joined });
            tokio::spawn(claim_for(Arc::downgrade(service), line.clone()));
            line
        });
        line.lock().push_back(waiter);
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
    fn turns(&self) -> Vec<WorkerId> {
        let waiting = self.lock();
        let most = waiting.iter().map(|waiter| waiter.capacity).max().unwrap_or(0);
        let round = |turn| {
            waiting.iter().filter(move |waiter| waiter.capacity > turn).map(|waiter| waiter.worker)
        };
        (0..most).flat_map(round).take(limits::LEASES).collect()
    }

    /// Hands runs to the pollers they were leased to; gives back those whose poller has gone.
    fn hand_out(&self, runs: Vec<Run>) -> Vec<Run> {
        let mut by_worker: HashMap<WorkerId, Vec<Run>> = HashMap::new();
        for run in runs {
            if let Some(worker) = run.lease_held().map(|lease| lease.worker) {
                by_worker.entry(worker).or_default().push(run);
            }
        }
        let mut waiting = self.lock();
        let mut rest = VecDeque::with_capacity(waiting.len());
        let mut missed = Vec::new();
        for waiter in waiting.drain(..) {
            match by_worker.remove(&waiter.worker) {
                Some(runs) => {
                    if let Err(offer) = waiter.offer.send(Offer { runs }) {
                        missed.extend(offer.runs);
                    }
                }
                None => rest.push_back(waiter),
            }
        }
        *waiting = rest;
        missed.extend(by_worker.into_values().flatten());
        missed
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
        let lease = |(run, worker): (&Run, &WorkerId)| {
            let id = LeaseId::new(self.entropy().lease_id());
            // A run that is not ready after all stays where it is.
            run.lease(id, *worker, now, self.offer_ttl()).ok()
        };
        let leased: Vec<Transition> = ready.iter().zip(&turns).filter_map(lease).collect();
        if leased.is_empty() {
            return Ok(0);
        }
        tx.save(&leased).await?;
        tx.commit().await?;
        self.tell(effects::hints(&leased));
        let claimed = leased.len();
        let runs = leased.into_iter().map(|transition| transition.run).collect();
        let missed = line.hand_out(runs);
        if !missed.is_empty() {
            Offer { runs: missed }.withdraw(self);
        }
        Ok(claimed)
    }
}
