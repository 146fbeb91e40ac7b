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

use tenure_core::queue::{capped, choose};
use tenure_core::{LeaseId, Name, Run, RunId, TenantId, Timestamp, Transition, WorkerId, limits};
use tenure_store::{Hint, StoreError, Tx};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::service::{Service, effects};

/// Who is in line, by where they look for runs.
#[derive(Default)]
pub(crate) struct Dispatch {
    lines: Mutex<HashMap<Places, Arc<Line>>>,
    /// Polls that are held now.
    held: Arc<AtomicUsize>,
}

/// What tells one line from another: the pools of the tenants that are polled.
pub(crate) type Places = BTreeSet<(TenantId, Name)>;

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
    places: Places,
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

/// The least pause before a claimer that others were faster than looks again.
const CONTENDED: Duration = Duration::from_millis(2);
/// How often a claimer notes that its pools are polled.
const NOTED: Duration = Duration::from_secs(10);
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
        places: Places,
        worker: WorkerId,
        capacity: usize,
        wait: Duration,
    ) -> Option<Offer> {
        let (sender, mut offer) = oneshot::channel();
        self.join(service, places, Waiter { ticket: 0, worker, capacity, offer: sender });
        if let Ok(offered) = tokio::time::timeout(wait, &mut offer).await {
            return offered.ok();
        }
        // No more offers from here on; one that was made in this very moment still counts.
        offer.close();
        offer.try_recv().ok()
    }

    fn join(&self, service: &Arc<Service>, places: Places, waiter: Waiter) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(places).or_insert_with_key(|places| {
            let (waiting, joined) = (Mutex::default(), Notify::new());
            let ticket = AtomicUsize::new(0);
            let line = Arc::new(Line { places: places.clone(), waiting, ticket, joined });
            tokio::spawn(claim_for(Arc::downgrade(service), line.clone()));
            line
        });
        let ticket = line.ticket.fetch_add(1, Ordering::Relaxed);
        line.lock().push_back(Waiter { ticket, ..waiter });
        line.joined.notify_one();
    }

    /// How many polls are in line.
    pub(crate) fn held(&self) -> usize {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.values().map(|line| line.lock().len()).sum()
    }

    /// Takes a worker out of all lines: its poll is answered with what it was offered, if anything.
    pub(crate) fn leave(&self, worker: WorkerId) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.values() {
            line.lock().retain(|waiter| waiter.worker != worker);
        }
    }

    /// Removes a line that nobody is in; false if somebody has just joined.
    fn retire(&self, line: &Line) -> bool {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = line.lock().is_empty();
        if empty {
            lines.remove(&line.places);
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

/// What came of looking for runs.
enum Claimed {
    /// Runs were handed out.
    Some,
    /// There were runs, and others were faster.
    Contended,
    /// There is nothing that may be leased now.
    Nothing,
}

/// Claims for one line until nobody has been in it for a while, or the service has gone.
async fn claim_for(weak: Weak<Service>, line: Arc<Line>) {
    let (mut turn, mut noted) = (0, None);
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
        service.note_polls(&line, &mut noted).await;
        let hint = |(tenant, pool): &(TenantId, Name)| Hint::Pool(*tenant, pool.clone());
        // Register, then look: what becomes ready in between is not missed.
        let ready = service.subscribe(line.places.iter().map(hint));
        turn += 1;
        match service.claim(&line, turn).await {
            Ok(Claimed::Some) => continue,
            Ok(Claimed::Contended) => {
                tokio::time::sleep(CONTENDED.mul_f64(1.0 + service.spread())).await;
                continue;
            }
            Ok(Claimed::Nothing) => {}
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
    /// Leases ready runs to those in line.
    async fn claim(self: &Arc<Self>, line: &Line, turn: u64) -> Result<Claimed, StoreError> {
        let turns = line.turns();
        let mut tx = self.store().begin().await?;
        let chosen = choose_ready(&mut *tx, line, turns.len(), turn).await?;
        if chosen.is_empty() {
            tx.commit().await?;
            return Ok(Claimed::Nothing);
        }
        let (now, ready) = tx.lock_ready(&chosen).await?;
        let leased = self.lease(&ready, &turns, now);
        let (tickets, leased): (Vec<usize>, Vec<Transition>) = leased.into_iter().unzip();
        // Also if nothing was leased: stale rows of the queue may have been cleared away.
        tx.save(&leased).await?;
        tx.commit().await?;
        effects::tell(self.wake(), &leased);
        if leased.is_empty() {
            return Ok(Claimed::Contended);
        }
        let runs = leased.into_iter().map(|transition| transition.run);
        line.hand_out(self, tickets.into_iter().zip(runs).collect());
        Ok(Claimed::Some)
    }

    /// A lease for each run, for whose turn it is.
    fn lease(
        &self,
        ready: &[Run],
        turns: &[(usize, WorkerId)],
        now: Timestamp,
    ) -> Vec<(usize, Transition)> {
        let lease = |(run, (ticket, worker)): (&Run, &(usize, WorkerId))| {
            let id = LeaseId::new(self.entropy().lease_id());
            // A run that is not ready after all stays where it is.
            let leased = run.lease(id, *worker, now, self.offer_ttl()).ok()?;
            Some((*ticket, leased))
        };
        ready.iter().zip(turns).filter_map(lease).collect()
    }

    /// Says now and then that somebody polls here. For people only: that it fails is no harm.
    async fn note_polls(&self, line: &Line, noted: &mut Option<Instant>) {
        if noted.is_some_and(|at| at.elapsed() < NOTED) {
            return;
        }
        let places: Vec<_> = line.places.iter().cloned().collect();
        let note = async {
            let mut tx = self.store().begin().await?;
            tx.note_polls(&places).await?;
            tx.commit().await
        };
        match note.await {
            Ok(()) => *noted = Some(Instant::now()),
            Err(error) => tracing::debug!(%error, "could not note who polls"),
        }
    }
}

/// The runs that come next, as far as their tenants and agents have room.
async fn choose_ready(
    tx: &mut dyn Tx,
    line: &Line,
    limit: usize,
    turn: u64,
) -> Result<Vec<(TenantId, RunId)>, StoreError> {
    let places: Vec<_> = line.places.iter().cloned().collect();
    let ready = tx.find_ready(&places, limit).await?;
    if ready.is_empty() {
        return Ok(Vec::new());
    }
    let caps = tx.lock_caps(&capped(&ready)).await?;
    Ok(choose(ready, &caps, limit, turn))
}
