//! The short way through the ledger: what concerns runs that are remembered, or new ones, is decided
//! from memory and saved with one statement that checks that all of it is still so.
//!
//! Everything that does not fit goes the long way, under locks: runs that are not remembered, what
//! touches other runs, and every refusal and every command that finds nothing to do, because a memory
//! may be out of date. So does a batch that somebody else was faster than.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tenure_core::run::NewRun;
use tenure_core::{Effect, Error, LeaseId, Run, Timestamp, Transition};
use tenure_store::{HeardNow, Known, RunKey, SeenAgent, StoreError};

use super::memory::Place;
use super::{Command, Done, Job, Lane};
use crate::dispatch::Seats;
use crate::service::effects;

impl Lane {
    /// Does and answers what can be done from memory; the other jobs, in their order.
    pub(super) async fn settle_known(&self, jobs: Vec<Job>) -> Vec<Job> {
        let Some(now) = self.store.heard_now() else {
            // Heard from here on; whoever is asked by these jobs anyway can go the long way once.
            let _ = self.store.now().await;
            return jobs;
        };
        let mut page = Page::at(self, self.memory.since_decided(now));
        let (mut done, mut left) = (Vec::new(), Vec::new());
        for job in jobs {
            match page.decide(&job.command) {
                Some(answer) => done.push((job, answer)),
                None => left.push(job),
            }
        }
        let (known, runs, seats) = page.close();
        match self.save_known(known, runs, seats).await {
            Ok(true) => {
                for (job, answer) in done {
                    // Who asked may have gone; what was done stays done.
                    let _ = job.reply.send(Ok(answer));
                }
                left
            }
            // It may have been saved.
            Err(error @ StoreError::Unavailable(_)) => {
                let undone = done.into_iter().filter_map(|(job, _)| again(job, &error));
                undone.chain(left).collect()
            }
            // The order among those of one run: what was left came after what was done.
            Ok(false) | Err(_) => done.into_iter().map(|(job, _)| job).chain(left).collect(),
        }
    }

    /// Saves it and tells everybody, if it is still so.
    async fn save_known(
        &self,
        known: Known,
        runs: Vec<Arc<Run>>,
        seats: Seats,
    ) -> Result<bool, StoreError> {
        if known.transitions.is_empty() {
            return Ok(true);
        }
        let saved = self.store.save_known(&known).await;
        if let Ok(true) = saved {
            for run in runs {
                self.memory.note(run);
            }
            effects::tell(&self.wake, &known.transitions);
            seats.hand_out(known.transitions);
            return saved;
        }
        tracing::debug!(?saved, "not saved as it was known; going the long way");
        for run in runs {
            self.memory.forget((run.tenant, run.id));
        }
        saved
    }

    /// Remembers and tells what was saved.
    pub(super) fn saved(&self, transitions: &[Transition]) {
        for Transition { run, effects, .. } in transitions {
            let by_owner = !effects.iter().any(|effect| matches!(effect, Effect::WakeOwner(_)));
            // What others ask of an owner says nothing of the replica that he talks to.
            if by_owner || self.memory.get((run.tenant, run.id)).is_some() {
                self.memory.note(Arc::new(run.clone()));
            }
        }
        effects::tell(&self.wake, transitions);
    }
}

/// The job, if it does no harm to do it although it may have been done: the long way recognises the
/// same commit, and the run of an idempotency key. A new run without one it would find in its place.
fn again(job: Job, error: &StoreError) -> Option<Job> {
    if matches!(job.command, Command::Create { key: None, .. }) {
        let what = "the database is not reachable; try again";
        let _ = job.reply.send(Err(Error::unavailable(what, error).into()));
        return None;
    }
    Some(job)
}

/// What is decided for one batch.
struct Page<'a> {
    lane: &'a Lane,
    now: HeardNow,
    /// In the order in which the runs came.
    transitions: Vec<Transition>,
    /// The runs that they lead to.
    runs: Vec<Arc<Run>>,
    places: HashMap<Place, usize>,
    /// Runs of which a command was left: those behind it are left as well.
    left: HashSet<Place>,
    keys: Vec<RunKey>,
    agents: HashSet<SeenAgent>,
    seats: Seats,
}

impl<'a> Page<'a> {
    fn at(lane: &'a Lane, now: HeardNow) -> Self {
        let seats = lane.dispatch.seats();
        Self {
            lane,
            now,
            transitions: Vec::new(),
            runs: Vec::new(),
            places: HashMap::new(),
            left: HashSet::new(),
            keys: Vec::new(),
            agents: HashSet::new(),
            seats,
        }
    }

    fn close(self) -> (Known, Vec<Arc<Run>>, Seats) {
        let mut agents: Vec<_> = self.agents.into_iter().collect();
        agents.sort_unstable();
        let mut transitions = self.transitions;
        // In one order for everybody: of two batches with the same runs, one waits for the other, and
        // not each for each.
        transitions.sort_unstable_by_key(|transition| (transition.run.tenant, transition.run.id));
        (Known { transitions, keys: self.keys, agents, at: self.now.latest }, self.runs, self.seats)
    }

    /// What becomes of a command, if it can be decided here.
    fn decide(&mut self, command: &Command) -> Option<Done> {
        match command {
            Command::Create { new, key, seen } => self.create(new, key.as_ref(), seen.as_ref()?),
            Command::Change { tenant, run, decide } => {
                let place = (*tenant, *run);
                if self.left.contains(&place) {
                    return None;
                }
                let done = self.change(place, |run, now| decide(run, now).ok());
                if done.is_none() {
                    self.left.insert(place);
                }
                done
            }
            Command::Deliver { tenant, run, .. } | Command::Resolve { tenant, run, .. } => {
                self.left.insert((*tenant, *run));
                None
            }
        }
    }

    fn change(
        &mut self,
        place: Place,
        decide: impl Fn(&Run, Timestamp) -> Option<Option<Transition>>,
    ) -> Option<Done> {
        let pending = self.places.get(&place).copied();
        let before = match pending {
            Some(at) => self.runs[at].clone(),
            None => self.lane.memory.get(place)?,
        };
        // That nothing is left to do is for who sees the run as it is: no statement would notice.
        let mut next = decide(&before, self.now.latest)??;
        if !next.is_plain() {
            return None;
        }
        if next.effects.iter().any(|effect| self.is_ready(effect)) {
            // Whoever is told of it must find it ready.
            next = decide(&before, self.now.earliest)??;
        }
        Some(Done { run: self.put(place, pending, next), changed: true })
    }

    fn is_ready(&self, effect: &Effect) -> bool {
        matches!(effect, Effect::Enqueue { ready_at } if *ready_at <= self.now.latest)
    }

    fn put(&mut self, place: Place, pending: Option<usize>, next: Transition) -> Arc<Run> {
        let run = Arc::new(next.run.clone());
        match pending {
            None => {
                self.places.insert(place, self.transitions.len());
                self.transitions.push(next);
                self.runs.push(run.clone());
            }
            Some(at) => {
                let before = self.transitions.swap_remove(at);
                self.transitions.push(before.then(next));
                let last = self.transitions.len() - 1;
                self.transitions.swap(at, last);
                self.runs[at] = run.clone();
            }
        }
        run
    }

    /// A new run that concerns nobody else, leased at once if a worker waits for it and nothing else
    /// does for that worker.
    fn create(&mut self, new: &NewRun, key: Option<&RunKey>, seen: &SeenAgent) -> Option<Done> {
        let alone = new.concurrency.is_none() && new.parent.is_none();
        let first = key.is_none_or(|key| {
            self.keys.iter().all(|other| (other.tenant, &other.key) != (key.tenant, &key.key))
        });
        if !alone || !first {
            return None;
        }
        let created = Run::create(new.clone(), true, self.now.earliest).ok()?;
        let created = if seen.uncapped { self.seat(created) } else { created };
        let place = (new.tenant, new.id);
        let run = self.put(place, None, created);
        self.keys.extend(key.cloned());
        self.agents.insert(*seen);
        Some(Done { run, changed: true })
    }

    fn seat(&mut self, created: Transition) -> Transition {
        let run = &created.run;
        if run.ready_at().is_none_or(|ready_at| ready_at > self.now.earliest) {
            return created;
        }
        let Some(worker) = self.seats.take(run) else { return created };
        let lease = LeaseId::new(self.lane.entropy.lease_id());
        match run.lease(lease, worker, self.now.latest, self.lane.offer_ttl) {
            Ok(leased) => created.then(leased),
            Err(_) => created,
        }
    }
}
