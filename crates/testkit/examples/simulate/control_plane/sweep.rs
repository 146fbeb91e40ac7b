//! The sweeps: leases whose time is up, cancels whose grace is over, runs whose deadline has passed;
//! and questions that nobody has answered in time. Every replica does it for ever; it is all the
//! recovery that there is.

use std::sync::Arc;

use tenure_core::{Decision, Interrupt, InterruptState, Payload, Run, Timestamp};

use super::{Alarm, ControlPlane, latency};
use crate::guard::Guard;
use crate::oracle::{By, Decided};
use crate::world::World;

impl ControlPlane {
    /// Begins a sweep. It decides on the rows as they are when it has locked them; without that
    /// guard it decides on what it reads now.
    pub(super) fn begin_sweep(&self, world: &mut World) {
        let now = world.store.clock(world.now);
        let rows = world.plan.lacks(Guard::Sweep).then(|| due(world, now));
        let latency = latency(world);
        world.alarm(self.me, latency, Alarm::Sweep(rows));
    }

    pub(super) fn sweep(&mut self, world: &mut World, rows: Option<Vec<Arc<Run>>>) {
        if !world.reaches_database(self.me.node) {
            return;
        }
        let now = world.store.clock(world.now);
        let mut rows = rows.unwrap_or_else(|| due(world, now));
        rows.retain(|_| !world.dice.chance(world.plan.weather.busy));
        let expire = |run: Arc<Run>| {
            let transition = run.expire(now)?;
            Some(Decided { by: By::Sweep, before: Some(run), transition })
        };
        let expired: Vec<Decided> = rows.into_iter().filter_map(expire).collect();
        let hints = world.save(&expired);
        self.tell(world, hints);
    }
}

impl ControlPlane {
    pub(super) fn begin_time_out(&self, world: &mut World) {
        let latency = latency(world);
        world.alarm(self.me, latency, Alarm::TimeOut);
    }

    pub(super) fn time_out(&mut self, world: &mut World) {
        if !world.reaches_database(self.me.node) {
            return;
        }
        let now = world.store.clock(world.now);
        let mut late = late(world, now);
        late.retain(|_| !world.dice.chance(world.plan.weather.busy));
        let mut decided: Vec<Decided> = Vec::new();
        for question in late {
            // One for each run; the others are due in the next sweep as well.
            let taken = decided.iter().any(|one| one.transition.run.id == question.run);
            let Some(run) = world.store.run(question.run).filter(|_| !taken).cloned() else {
                continue;
            };
            let default = question.question.default.map(default_message);
            if let Ok(Some(transition)) = run.time_out(&question, default, now) {
                decided.push(Decided { by: By::TimeOut, before: Some(run), transition });
            }
        }
        let hints = world.save(&decided);
        self.tell(world, hints);
    }
}

/// The questions whose time is up, and that are open; without that guard, all that were.
fn late(world: &World, now: Timestamp) -> Vec<Interrupt> {
    let up = |one: &&Interrupt| one.due_at.is_some_and(|due_at| due_at <= now);
    let late = world.store.interrupts().filter(up).cloned();
    if world.plan.lacks(Guard::TimeOut) {
        return late.map(|one| Interrupt { state: InterruptState::Open, ..one }).collect();
    }
    late.filter(|one| one.state == InterruptState::Open).collect()
}

/// What a question's default says when its time is up.
fn default_message(default: Decision) -> Payload {
    let message = serde_json::json!({ "decision": default.as_str(), "timed_out": true });
    Payload::json(message.to_string())
}

fn due(world: &World, now: Timestamp) -> Vec<Arc<Run>> {
    world.store.runs().filter(|run| run.expire(now).is_some()).cloned().collect()
}
