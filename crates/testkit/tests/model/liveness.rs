//! Nothing gets stuck: from every state that can be reached, the run can still come to its end if
//! nothing further goes wrong. The checker has no word for that, so this walks the graph backwards
//! from the ends.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use stateright::Model;

use crate::steps::Setup;
use crate::world::World;

/// The graph of all states, without the steps that are faults.
#[derive(Default)]
pub(crate) struct Graph {
    /// By its fingerprint, the place of a state in the other lists.
    known: HashMap<u64, usize>,
    before: Vec<Vec<usize>>,
    ends: Vec<usize>,
    pub(crate) steps: usize,
}

impl Graph {
    /// Explores everything.
    pub(crate) fn of(setup: &Setup) -> Self {
        let mut graph = Self::default();
        let mut frontier: Vec<World> = Vec::new();
        for world in setup.init_states() {
            graph.place(world, &mut frontier);
        }
        let mut actions = Vec::new();
        while let Some(world) = frontier.pop() {
            let from = graph.known[&fingerprint(&world)];
            setup.actions(&world, &mut actions);
            for next in actions.drain(..).filter_map(|what| setup.next_state(&world, what)) {
                let fault = next.left != world.left;
                let to = graph.place(next, &mut frontier);
                graph.steps += 1;
                if !fault {
                    graph.before[to].push(from);
                }
            }
        }
        graph
    }

    fn place(&mut self, world: World, frontier: &mut Vec<World>) -> usize {
        let new = self.before.len();
        let place = *self.known.entry(fingerprint(&world)).or_insert(new);
        if place == new {
            self.before.push(Vec::new());
            if world.row.ended() {
                self.ends.push(place);
            }
            frontier.push(world);
        }
        place
    }

    pub(crate) fn states(&self) -> usize {
        self.before.len()
    }

    /// From how many states no end can be reached.
    pub(crate) fn stuck(&self) -> usize {
        let mut saved = vec![false; self.states()];
        let mut frontier = self.ends.clone();
        while let Some(place) = frontier.pop() {
            if !std::mem::replace(&mut saved[place], true) {
                frontier.extend(&self.before[place]);
            }
        }
        saved.iter().filter(|saved| !**saved).count()
    }
}

/// Enough to tell states apart, as the checker does it: two of a million share one of these 64 bits
/// with a chance of one in 30 million.
fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}
