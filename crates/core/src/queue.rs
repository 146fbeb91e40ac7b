//! The queue: which of the runs that are ready come next, when there is room for a few.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::BuildHasher;

use crate::id::{AgentId, RunId, TenantId};
use crate::time::Timestamp;

/// A run that is ready, as its row in the queue says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Whose it is.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// Its agent, if that has a cap: such runs queue in a lane of their own, so that those behind an
    /// agent that is at its cap need not be looked for.
    pub lane: Option<AgentId>,
    /// Higher ones first.
    pub priority: i32,
    /// Among equals, the longest ready first.
    pub ready_at: Timestamp,
}

/// What a cap is on: all runs of a tenant, or those of one agent.
pub type Capped = (TenantId, Option<AgentId>);

/// A bound on how many runs are leased at a time, and how many are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// At most so many.
    pub limit: u32,
    /// So many now.
    pub running: u64,
}

impl Cap {
    /// How many more there may be.
    pub fn room(&self) -> u64 {
        u64::from(self.limit).saturating_sub(self.running)
    }
}

/// What caps may apply to these runs.
pub fn capped(ready: &[Ready]) -> Vec<Capped> {
    let mut asked: Vec<Capped> =
        ready.iter().flat_map(|ready| [(ready.tenant, None), (ready.tenant, ready.lane)]).collect();
    asked.sort_unstable();
    asked.dedup();
    asked
}

/// The next `limit` runs: tenants in turn, beginning with another one at each `turn`, so that one
/// with a million runs does not delay another's first; within a tenant by priority, then by how long
/// they are ready; within the caps.
pub fn choose(
    mut ready: Vec<Ready>,
    caps: &HashMap<Capped, Cap, impl BuildHasher>,
    limit: usize,
    turn: u64,
) -> Vec<(TenantId, RunId)> {
    ready.sort_by_key(|ready| (-ready.priority, ready.ready_at, ready.run));
    let mut room: HashMap<Capped, u64> = caps.iter().map(|(of, cap)| (*of, cap.room())).collect();
    let mut tenants: BTreeMap<TenantId, VecDeque<Ready>> = BTreeMap::new();
    for ready in ready {
        tenants.entry(ready.tenant).or_default().push_back(ready);
    }
    let mut lines: Vec<_> = tenants.into_values().collect();
    let places = lines.len().max(1) as u64;
    // The remainder is below the number of lines, so it fits.
    lines.rotate_left(usize::try_from(turn % places).unwrap_or(0));
    let mut chosen = Vec::with_capacity(limit);
    while chosen.len() < limit && lines.iter().any(|line| !line.is_empty()) {
        let left = limit - chosen.len();
        chosen.extend(lines.iter_mut().filter_map(|line| next(line, &mut room)).take(left));
    }
    chosen
}

/// The first of a tenant's runs that its caps have room for.
fn next(line: &mut VecDeque<Ready>, room: &mut HashMap<Capped, u64>) -> Option<(TenantId, RunId)> {
    while let Some(ready) = line.pop_front() {
        let of = [(ready.tenant, None), (ready.tenant, ready.lane)];
        if of.iter().any(|of| room.get(of) == Some(&0)) {
            continue;
        }
        // Without a lane both are the tenant's, which is counted once.
        for of in &of[..if ready.lane.is_some() { 2 } else { 1 }] {
            if let Some(room) = room.get_mut(of) {
                *room -= 1;
            }
        }
        return Some((ready.tenant, ready.run));
    }
    None
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn tenant(number: u128) -> TenantId {
        TenantId::new(Uuid::from_u128(number))
    }

    fn ready(of: u128, run: u128, priority: i32) -> Ready {
        let (tenant, run) = (tenant(of), RunId::new(Uuid::from_u128(run)));
        Ready { tenant, run, lane: None, priority, ready_at: Timestamp::default() }
    }

    fn numbers(chosen: &[(TenantId, RunId)]) -> Vec<u128> {
        chosen.iter().map(|(_, run)| run.uuid().as_u128()).collect()
    }

    #[test]
    fn tenants_take_turns_whatever_they_have_waiting() {
        let crowd = (1..=100).map(|run| ready(1, run, 9));
        let all: Vec<_> = crowd.chain([ready(2, 200, 0), ready(3, 300, 0)]).collect();
        let none: HashMap<Capped, Cap> = HashMap::new();
        assert_eq!(numbers(&choose(all.clone(), &none, 4, 0)), [1, 200, 300, 2]);
        let first: Vec<_> = (0..4).map(|turn| choose(all.clone(), &none, 1, turn)).collect();
        let first: Vec<_> = first.iter().map(|chosen| numbers(chosen)[0]).collect();
        assert_eq!(first, [1, 200, 300, 1], "with room for one, each is first in turn");
    }

    #[test]
    fn within_a_tenant_priority_comes_first_and_then_age() {
        let mut old = ready(1, 9, 0);
        old.ready_at = Timestamp::from_micros(-5);
        let all = vec![ready(1, 3, 0), ready(1, 2, 5), old, ready(1, 1, -1)];
        assert_eq!(numbers(&choose(all, &HashMap::<Capped, Cap>::new(), 9, 0)), [2, 9, 3, 1]);
    }

    #[test]
    fn a_cap_holds_and_those_behind_it_are_found() {
        let agent = AgentId::new(Uuid::from_u128(7));
        let in_lane = |run| Ready { lane: Some(agent), ..ready(1, run, 1) };
        let all = vec![in_lane(1), in_lane(2), in_lane(3), ready(1, 4, 0), ready(1, 5, 0)];
        let asked = capped(&all);
        assert_eq!(asked, [(tenant(1), None), (tenant(1), Some(agent))]);
        let cap = |limit, running| Cap { limit, running };
        let caps = HashMap::from([(asked[1], cap(3, 1))]);
        assert_eq!(numbers(&choose(all.clone(), &caps, 9, 0)), [1, 2, 4, 5]);
        let caps = HashMap::from([(asked[0], cap(3, 0)), (asked[1], cap(3, 1))]);
        assert_eq!(numbers(&choose(all.clone(), &caps, 9, 0)), [1, 2, 4]);
        let caps = HashMap::from([(asked[0], cap(1, 5))]);
        assert!(choose(all, &caps, 9, 0).is_empty(), "over the cap is no room either");
    }
}
