//! Heartbeats: all leases of a call are extended at once; then the call is held until there is news.

use std::time::Duration;

use tenure_core::{WorkerId, limits};

use super::{Alarm, ControlPlane, latency, unavailable};
use crate::message::{Caller, Held, News, Reply};
use crate::oracle::{By, Decided};
use crate::world::World;

/// A heartbeat that is held.
pub(super) struct HeldBeat {
    worker: WorkerId,
    leases: Vec<Held>,
    until: Duration,
    /// Whether the end of its wait is in the agenda.
    held: bool,
}

impl HeldBeat {
    pub(super) fn new(worker: WorkerId, leases: Vec<Held>, until: Duration) -> Self {
        Self { worker, leases, until, held: false }
    }
}

impl ControlPlane {
    pub(super) fn hold_beat(&mut self, world: &mut World, caller: Caller, beat: HeldBeat) {
        self.beats.insert(caller, beat);
        let latency = latency(world);
        world.alarm(self.me, latency, Alarm::Beat(caller));
    }

    /// There may be news for this worker: its beats look again.
    pub(super) fn wake_beats(&mut self, world: &mut World, worker: WorkerId) {
        for (caller, beat) in &self.beats {
            if beat.worker == worker {
                let latency = latency(world);
                world.alarm(self.me, latency, Alarm::Beat(*caller));
            }
        }
    }

    pub(super) fn beat(&mut self, world: &mut World, caller: Caller) {
        let Some(beat) = self.beats.get_mut(&caller) else { return };
        let reply = if world.reaches_database(self.me.node) {
            let Some(news) = extend(world, &beat.leases) else {
                let pause = world.dice.millis(2, 20);
                return world.alarm(self.me, pause, Alarm::Beat(caller));
            };
            if news.is_empty() && world.now < beat.until {
                if !std::mem::replace(&mut beat.held, true) {
                    let left = beat.until.saturating_sub(world.now);
                    world.alarm(self.me, left, Alarm::BeatOver(caller));
                }
                return;
            }
            Reply::News(news)
        } else {
            Reply::Refused(unavailable())
        };
        self.beats.remove(&caller);
        world.answer(self.me.node, caller, reply);
    }

    pub(super) fn beat_over(&mut self, world: &mut World, caller: Caller) {
        if self.beats.remove(&caller).is_some() {
            world.answer(self.me.node, caller, Reply::News(Vec::new()));
        }
    }
}

/// Extends the leases in one transaction. Nothing if a row is busy: then it is done once more, because
/// what is not extended must not be answered like what is.
fn extend(world: &mut World, leases: &[Held]) -> Option<Vec<News>> {
    let now = world.store.clock(world.now);
    let mut decided = Vec::new();
    let mut news = Vec::new();
    let mut busy = false;
    for held in leases {
        if world.dice.chance(world.plan.weather.busy) {
            busy = true;
            continue;
        }
        let run = world.store.run(held.run).cloned();
        let beaten = run.map(|run| (run.beat(held.lease, now, limits::LEASE_TTL), run));
        if let Some((Ok(transition), run)) = beaten {
            let (cancel, pause) = (run.cancel_asked().is_some(), run.pause_asked());
            if run.inbox > held.inbox || (cancel && !held.cancel) || pause != held.pause {
                news.push(News { lease: held.lease, lost: false, cancel, pause, inbox: run.inbox });
            }
            decided.push(Decided { by: By::Beat(held.lease), before: Some(run), transition });
        } else {
            let Held { lease, inbox, cancel, pause, .. } = *held;
            news.push(News { lease, lost: true, cancel, pause, inbox });
        }
    }
    world.save(&decided);
    (!busy).then_some(news)
}
