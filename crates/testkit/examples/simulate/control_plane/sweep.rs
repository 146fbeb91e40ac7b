//! The sweep: leases whose time is up and cancels whose grace is over. Every replica does it for
//! ever; it is all the recovery that there is.

use std::sync::Arc;

use tenure_core::{Run, Timestamp};

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

fn due(world: &World, now: Timestamp) -> Vec<Arc<Run>> {
    world.store.runs().filter(|run| run.expire(now).is_some()).cloned().collect()
}
