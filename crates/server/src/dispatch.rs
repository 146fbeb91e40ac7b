//! Dispatch: one claimer per replica and set of pools, however many workers are polling.
//!
//! A poll puts itself in line. The claimer of its pools sleeps while nobody is in line; else it
//! registers for wake-ups, claims as many runs as there is room for, hands them out one by one in
//! turn, and waits: for a wake-up, or for its next look in case one was lost. So a thousand idle
//! workers cost as many queries as one.
//!
//! A new run need not go through the queue: if somebody is in line and nothing is ready that he could
//! have, as far as was seen when the claimer last looked and no hint said otherwise since, the run is
//! leased to him in the same statement that creates it ([`Seats`]).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tenure_core::queue::{capped, choose};
use tenure_core::{
    Effect, LeaseId, Name, Payload, Run, RunId, TenantId, Timestamp, Transition, WorkerId, limits,
};
use tenure_store::{Hint, StoreError, Tx};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::service::Service;
use crate::wake::Subscription;

/// Who is in line, by where they look for runs.
pub(crate) struct Dispatch {
    /// How long it counts what was seen in the queue.
    tick: Duration,
    lines: Mutex<HashMap<Places, Arc<Line>>>,
    /// Polls that are held now.
    held: Arc<AtomicUsize>,
}

/// What tells one line from another: the pools of the tenants that are polled.
pub(crate) type Places = BTreeSet<(TenantId, Name)>;

/// Runs that were leased to one poller and have not reached it yet. Those that are in it when it is
/// dropped, because the poller has gone, are given back.
pub(crate) struct Offer {
    pub(crate) runs: Vec<Offered>,
    service: Arc<Service>,
}

/// A run in an offer.
pub(crate) struct Offered {
    pub(crate) run: Run,
    /// What it was given, if it has just been created.
    pub(crate) input: Option<Payload>,
}

impl Drop for Offer {
    fn drop(&mut self) {
        for Offered { run, .. } in self.runs.drain(..) {
            let service = self.service.clone();
            tokio::spawn(async move { service.withdraw(&run).await });
        }
    }
}

struct Line {
    places: Places,
    service: Weak<Service>,
    /// Hears what becomes ready.
    ready: Subscription,
    /// When the claimer last saw that nothing is ready.
    seen_empty: Mutex<Option<Instant>>,
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
    pub(crate) fn new(tick: Duration) -> Self {
        Self { tick, lines: Mutex::default(), held: Arc::default() }
    }

    /// Seats for the new runs of one batch.
    pub(crate) fn seats(self: &Arc<Self>) -> Seats {
        Seats { dispatch: self.clone(), taken: Vec::new() }
    }

    /// Takes somebody out of a line for this pool in which nothing is ready.
    fn take_waiter(&self, place: &(TenantId, Name)) -> Option<(Arc<Line>, Waiter)> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = lines.values().filter(|line| line.places.contains(place));
        let mut empty = fitting.filter(|line| line.is_empty(self.tick));
        empty.find_map(|line| Some((line.clone(), line.take_first()?)))
    }

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
            let hint = |(tenant, pool): &(TenantId, Name)| Hint::Pool(*tenant, pool.clone());
            let line = Arc::new(Line {
                places: places.clone(),
                service: Arc::downgrade(service),
                ready: service.subscribe(places.iter().map(hint)),
                seen_empty: Mutex::default(),
                waiting: Mutex::default(),
                ticket: AtomicUsize::new(0),
                joined: Notify::new(),
            });
            tokio::spawn(claim_for(line.clone()));
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

    /// How many of them a new run would be leased to: nothing else is ready for them.
    pub(crate) fn idle(&self) -> usize {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lines.values().filter(|line| line.is_empty(self.tick));
        idle.map(|line| line.lock().len()).sum()
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

    /// Whether nothing is ready, as far as is known.
    fn is_empty(&self, tick: Duration) -> bool {
        let seen = *self.seen_empty.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_some_and(|seen| seen.elapsed() < tick) && !self.ready.was_told()
    }

    fn see_empty(&self, empty: bool) {
        let seen = empty.then(Instant::now);
        *self.seen_empty.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    fn take_first(&self) -> Option<Waiter> {
        let mut waiting = self.lock();
        loop {
            let first = waiting.pop_front()?;
            if !first.offer.is_closed() {
                return Some(first);
            }
        }
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
        let offered = |run| Offered { run, input: None };
        let mut offers: HashMap<usize, Offer> = HashMap::new();
        for (ticket, run) in runs {
            let empty = || Offer { runs: Vec::new(), service: service.clone() };
            offers.entry(ticket).or_insert_with(empty).runs.push(offered(run));
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

/// Places at polls that are held, for runs that are being created.
pub(crate) struct Seats {
    dispatch: Arc<Dispatch>,
    taken: Vec<Taken>,
}

/// A poll that was taken out of its line.
struct Taken {
    line: Arc<Line>,
    waiter: Waiter,
    runs: Vec<(TenantId, RunId)>,
}

impl Seats {
    /// The worker that this run may be leased to.
    pub(crate) fn take(&mut self, run: &Run) -> Option<WorkerId> {
        let place = (run.tenant, run.pool.clone());
        let fits = |taken: &Taken| {
            taken.runs.len() < taken.waiter.capacity && taken.line.places.contains(&place)
        };
        let at = if let Some(at) = self.taken.iter().position(fits) {
            at
        } else {
            let (line, waiter) = self.dispatch.take_waiter(&place)?;
            self.taken.push(Taken { line, waiter, runs: Vec::new() });
            self.taken.len() - 1
        };
        let taken = &mut self.taken[at];
        taken.runs.push((run.tenant, run.id));
        Some(taken.waiter.worker)
    }

    /// Hands out the runs that were leased, which are saved now.
    pub(crate) fn hand_out(mut self, saved: Vec<Transition>) {
        if self.taken.is_empty() {
            return;
        }
        let place = |transition: &Transition| (transition.run.tenant, transition.run.id);
        let mut saved: HashMap<_, _> =
            saved.into_iter().map(|transition| (place(&transition), transition)).collect();
        for Taken { line, waiter, runs } in self.taken.drain(..) {
            let Some(service) = line.service.upgrade() else { continue };
            let runs = runs.iter().filter_map(|run| saved.remove(run)).map(offered).collect();
            // A poll that has gone gives back what it was offered.
            drop(waiter.offer.send(Offer { runs, service }));
        }
    }
}

/// What was not handed out was not saved: who was taken out of line goes back to its front.
impl Drop for Seats {
    fn drop(&mut self) {
        for Taken { line, waiter, .. } in self.taken.drain(..) {
            line.lock().push_front(waiter);
            line.joined.notify_one();
        }
    }
}

fn offered(created: Transition) -> Offered {
    let input = created.effects.into_iter().find_map(|effect| match effect {
        Effect::Open { input, .. } => Some(input),
        _ => None,
    });
    Offered { run: created.run, input }
}

/// What came of looking for runs.
enum Claimed {
    /// Runs were handed out, and there may be more.
    Some,
    /// Runs were handed out, all that were ready.
    All,
    /// There were runs, and others were faster.
    Contended,
    /// There is nothing that may be leased now.
    Nothing,
    /// Nobody is in line any more; nothing was looked at.
    Nobody,
}

/// Claims for one line until nobody has been in it for a while, or the service has gone.
async fn claim_for(line: Arc<Line>) {
    let (mut turn, mut noted) = (0, None);
    loop {
        let Some(service) = line.service.upgrade() else { return };
        if !line.is_waiting() {
            // Not held while asleep: the service may end meanwhile.
            drop(service);
            let joined = tokio::time::timeout(LINGER, line.joined.notified()).await;
            let Some(service) = line.service.upgrade() else { return };
            if joined.is_err() && service.dispatch().retire(&line) {
                return;
            }
            continue;
        }
        service.note_polls(&line, &mut noted).await;
        if !line.is_empty(service.dispatch().tick) {
            // Forget, then look: what becomes ready in between is not missed. Meanwhile what was seen
            // before still counts: if a look takes long, new runs must not pile up behind it.
            line.ready.look();
            turn += 1;
            let claimed = service.claim(&line, turn).await;
            line.see_empty(matches!(claimed, Ok(Claimed::All | Claimed::Nothing)));
            match claimed {
                Ok(Claimed::Some | Claimed::All | Claimed::Nobody) => continue,
                Ok(Claimed::Contended) => {
                    tokio::time::sleep(CONTENDED.mul_f64(1.0 + service.spread())).await;
                    continue;
                }
                Ok(Claimed::Nothing) => {}
                Err(error) => tracing::warn!(%error, "could not claim runs; trying again"),
            }
        }
        tokio::select! {
            () = line.ready.changed() => {}
            () = line.joined.notified() => {}
            // What was seen is old by now, even if this tick was a short one.
            () = tokio::time::sleep(service.tick()) => line.see_empty(false),
        }
    }
}

impl Service {
    /// Leases ready runs to those in line.
    async fn claim(self: &Arc<Self>, line: &Line, turn: u64) -> Result<Claimed, StoreError> {
        let turns = line.turns();
        if turns.is_empty() {
            return Ok(Claimed::Nobody);
        }
        let mut tx = self.store().begin().await?;
        let (chosen, all) = choose_ready(&mut *tx, line, turns.len(), turn).await?;
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
        self.saved(&leased);
        if leased.is_empty() {
            return Ok(Claimed::Contended);
        }
        let all = all && leased.len() == chosen.len();
        let runs = leased.into_iter().map(|transition| transition.run);
        line.hand_out(self, tickets.into_iter().zip(runs).collect());
        Ok(if all { Claimed::All } else { Claimed::Some })
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

/// The runs that come next, as far as their tenants and agents have room, and whether no more are
/// ready.
async fn choose_ready(
    tx: &mut dyn Tx,
    line: &Line,
    limit: usize,
    turn: u64,
) -> Result<(Vec<(TenantId, RunId)>, bool), StoreError> {
    let places: Vec<_> = line.places.iter().cloned().collect();
    let ready = tx.find_ready(&places, limit).await?;
    if ready.is_empty() {
        return Ok((Vec::new(), true));
    }
    let (all, caps) = (ready.len() < limit, tx.lock_caps(&capped(&ready)).await?);
    Ok((choose(ready, &caps, limit, turn), all))
}
