//! Dispatch: polls wait in line; a claim leases ready runs to them in turn; what does not reach its
//! poller is given back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::{LeaseId, Run, RunState, Timestamp, WorkerId, limits};

use super::lane::Job;
use super::{Alarm, ControlPlane, PAGE, latency, unavailable};
use crate::guard::Guard;
use crate::message::{Caller, Offered, Reply};
use crate::oracle::{By, Decided};
use crate::world::World;

/// A poll that is held.
pub(super) struct Waiter {
    pub(super) caller: Caller,
    pub(super) worker: WorkerId,
    pub(super) capacity: usize,
}

impl ControlPlane {
    pub(super) fn poll(&mut self, world: &mut World, waiter: Waiter, wait: Duration) {
        world.alarm(self.me, wait, Alarm::PollOver(waiter.caller));
        self.line.push(waiter);
        self.begin_claim(world);
    }

    pub(super) fn poll_over(&mut self, world: &mut World, caller: Caller) {
        if self.line.iter().any(|waiter| waiter.caller == caller) {
            self.line.retain(|waiter| waiter.caller != caller);
            world.answer(self.me.node, caller, Reply::Leased(Vec::new()));
        }
    }

    /// One claim at a time, however many wait.
    pub(super) fn begin_claim(&mut self, world: &mut World) {
        if !self.claiming && !self.line.is_empty() {
            self.claiming = true;
            let latency = latency(world);
            world.alarm(self.me, latency, Alarm::Claim);
        }
    }

    /// Leases ready runs to those in line, in one transaction.
    pub(super) fn claim(&mut self, world: &mut World) {
        if !world.reaches_database(self.me.node) {
            self.claiming = false;
            return;
        }
        let turns = self.turns();
        let ready = ready(world, turns.len());
        let mut decided = Vec::new();
        let mut offers: BTreeMap<Caller, Vec<Arc<Run>>> = BTreeMap::new();
        for (run, (caller, worker)) in ready.into_iter().zip(turns) {
            if let Some(leased) = lease(world, run, worker) {
                offers.entry(caller).or_default().push(Arc::new(leased.transition.run.clone()));
                decided.push(leased);
            }
        }
        let hints = world.save(&decided);
        self.tell(world, hints);
        let gap = world.dice.millis(0, 5);
        world.alarm(self.me, gap, Alarm::HandOut(offers.into_iter().collect()));
    }

    /// Who gets the next runs: everybody in turn, up to what each has room for.
    fn turns(&self) -> Vec<(Caller, WorkerId)> {
        let most = self.line.iter().map(|waiter| waiter.capacity).max().unwrap_or(0);
        let round = |turn| self.line.iter().filter(move |waiter| waiter.capacity > turn);
        (0..most).flat_map(round).map(|waiter| (waiter.caller, waiter.worker)).collect()
    }

    /// Hands out what was claimed. A poll may have ended since: its runs go back to the queue.
    pub(super) fn hand_out(&mut self, world: &mut World, offers: Vec<(Caller, Vec<Arc<Run>>)>) {
        self.claiming = false;
        let claimed = !offers.is_empty();
        for (caller, mut runs) in offers {
            let there = self.line.iter().any(|waiter| waiter.caller == caller);
            self.line.retain(|waiter| waiter.caller != caller);
            if there && !world.reaches_database(self.me.node) {
                world.answer(self.me.node, caller, Reply::Refused(unavailable()));
            } else if there {
                // A message has a limit: at times the last of several does not fit.
                let fits = if world.dice.chance(100) { runs.len().max(2) - 1 } else { runs.len() };
                let sent = runs.drain(..fits.min(runs.len()));
                let sent = sent.map(|run| offered(world, run)).collect();
                world.answer(self.me.node, caller, Reply::Leased(sent));
            }
            for run in runs {
                self.withdraw(world, &run);
            }
        }
        if claimed {
            self.begin_claim(world);
        }
    }

    fn withdraw(&mut self, world: &mut World, run: &Run) {
        if let Some(lease) = run.lease_held() {
            let (run, lease) = (run.id, lease.id);
            self.join_lane(world, Job::Withdraw { run, lease });
        }
    }
}

fn ready(world: &mut World, limit: usize) -> Vec<Arc<Run>> {
    let mut now = world.store.clock(world.now);
    if world.plan.lacks(Guard::Ready) {
        now = Timestamp::from_micros(i64::MAX);
    }
    let mut ready = world.store.ready(now, limit);
    world.oracle.chosen(&ready, world.store.due(now));
    ready.retain(|_| !world.dice.chance(world.plan.weather.busy));
    ready
}

fn lease(world: &mut World, before: Arc<Run>, worker: WorkerId) -> Option<Decided> {
    let now = world.store.clock(world.now);
    let mut seen = Run::clone(&before);
    if world.plan.lacks(Guard::Ready) {
        seen.state = RunState::Queued { ready_at: now };
    }
    let id = LeaseId::new(world.new_id());
    let transition = seen.lease(id, worker, now, limits::OFFER_TTL).ok()?;
    Some(Decided { by: By::Claim, before: Some(before), transition })
}

/// The run with its input and the first page of its journal, which are read after the claim.
fn offered(world: &World, run: Arc<Run>) -> Offered {
    let entries: Vec<_> = world.store.journal(run.id).iter().take(PAGE).cloned().collect();
    let more = entries.last().is_some_and(|last| last.seq + 1 < run.next_seq);
    let script = world.store.script(run.id).cloned().expect("a run has what it was given");
    Offered { run, script, entries, more }
}
