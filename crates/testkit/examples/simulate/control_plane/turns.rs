//! Turns: of the runs with one concurrency key, one at a time goes on.

use tenure_core::RunId;

use super::ControlPlane;
use crate::guard::Guard;
use crate::oracle::{By, Decided};
use crate::world::World;

impl ControlPlane {
    /// A run has ended: if it had the turn of this key, the run that has waited longest gets it.
    /// False if that run is busy; then it is tried again.
    pub(super) fn free_turn(&mut self, world: &mut World, run: RunId, key: &str) -> bool {
        if world.store.turn(key) != Some(run) && !world.plan.lacks(Guard::Turn) {
            return true;
        }
        let next = world.store.next_turn(key).and_then(|next| world.store.run(next)).cloned();
        let Some(next) = next else {
            world.store.set_turn(key, None);
            return true;
        };
        if world.dice.chance(world.plan.weather.busy) {
            return false;
        }
        let now = world.store.clock(world.now);
        let Ok(transition) = next.admit(now) else { return false };
        world.store.set_turn(key, Some(next.id));
        let hints = world.save(&[Decided { by: By::Turn, before: Some(next), transition }]);
        self.tell(world, hints);
        true
    }
}
