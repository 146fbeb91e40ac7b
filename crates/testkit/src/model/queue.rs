//! The model's queue: places in it, caps, turns and messages.

use std::collections::HashMap;
use std::time::Duration;

use tenure_core::queue::{Cap, Capped, Ready};
use tenure_core::{AgentId, Message, Name, Run, RunId, TenantId, Timestamp};
use tenure_store::{Posted, Turn};

use super::state::State;

/// A run's place in the queue.
#[derive(Clone)]
pub(super) struct Place {
    pool: Name,
    agent: AgentId,
    ready: Ready,
}

impl State {
    pub(super) fn enqueue(&mut self, run: &Run, ready_at: Timestamp) {
        let capped = self.limit((run.tenant, Some(run.agent))).is_some();
        let ready = Ready {
            tenant: run.tenant,
            run: run.id,
            lane: capped.then_some(run.agent),
            priority: run.priority,
            ready_at,
        };
        let place = Place { pool: run.pool.clone(), agent: run.agent, ready };
        self.ready.insert((run.tenant, run.id), place);
    }

    pub(super) fn find_ready(&self, places: &[(TenantId, Name)], limit: usize) -> Vec<Ready> {
        let asked = |place: &&Place| places.contains(&(place.ready.tenant, place.pool.clone()));
        let due = |place: &&Place| place.ready.ready_at <= self.now;
        let mut found: Vec<_> = self.ready.values().filter(asked).filter(due).collect();
        found.sort_by_key(|place| order(&place.ready));
        let mut lines: HashMap<_, usize> = HashMap::new();
        found.retain(|place| {
            let Ready { tenant, lane, priority, .. } = place.ready;
            let length = lines.entry((tenant, &place.pool, lane, priority)).or_default();
            *length += 1;
            *length <= limit
        });
        found.into_iter().map(|place| place.ready.clone()).collect()
    }

    pub(super) fn count_ahead(&self, tenant: TenantId, run: RunId) -> usize {
        let Some(own) = self.ready.get(&(tenant, run)) else { return 0 };
        let by_then = own.ready.ready_at.max(self.now);
        let of_pool = self
            .ready
            .values()
            .filter(|place| (place.ready.tenant, &place.pool) == (tenant, &own.pool));
        let ahead = of_pool.filter(|place| {
            order(&place.ready) < order(&own.ready)
                && (place.ready.priority == own.ready.priority || place.ready.ready_at <= by_then)
        });
        ahead.count()
    }

    pub(super) fn lock_ready(&mut self, key: (TenantId, RunId)) -> Option<Run> {
        let ready_at = self.runs.get(&key).and_then(Run::ready_at);
        if ready_at.is_none() {
            self.ready.remove(&key);
        }
        self.runs.get(&key).filter(|_| ready_at.is_some_and(|at| at <= self.now)).cloned()
    }

    fn limit(&self, (tenant, agent): Capped) -> Option<u32> {
        match agent {
            None => self.tenants.get(&tenant)?.max_running,
            Some(agent) => self.agents.get(&(tenant, agent))?.max_running,
        }
    }

    pub(super) fn cap(&self, of: Capped) -> Option<(Capped, Cap)> {
        let limit = self.limit(of)?;
        Some((of, Cap { limit, running: self.count_running(of) }))
    }

    pub(super) fn count_running(&self, (tenant, agent): Capped) -> u64 {
        let counted = |run: &&Run| {
            run.tenant == tenant
                && agent.is_none_or(|agent| agent == run.agent)
                && run.lease_held().is_some()
        };
        self.runs.values().filter(counted).count() as u64
    }

    pub(super) fn set_cap(&mut self, (tenant, agent): Capped, limit: Option<u32>) -> bool {
        let Some(agent) = agent else {
            let found = self.tenants.get_mut(&tenant);
            return found.map(|tenant| tenant.max_running = limit).is_some();
        };
        let of_agent = self
            .ready
            .values_mut()
            .filter(|place| (place.ready.tenant, place.agent) == (tenant, agent));
        of_agent.for_each(|place| place.ready.lane = limit.map(|_| agent));
        let found = self.agents.get_mut(&(tenant, agent));
        found.map(|agent| agent.max_running = limit).is_some()
    }

    pub(super) fn take_turn(&mut self, turn: &Turn) -> RunId {
        *self.turns.entry((turn.tenant, turn.key.clone())).or_insert(turn.run)
    }

    /// The run that has waited longest for the turn of this key.
    pub(super) fn next_turn(&self, tenant: TenantId, key: &str) -> Option<RunId> {
        let waits = |run: &&Run| {
            run.tenant == tenant
                && run.concurrency.as_deref() == Some(key)
                && run.state.describe() == "waiting for its turn"
        };
        self.runs.values().find(waits).map(|run| run.id)
    }

    pub(super) fn take_messages(&mut self, limit: usize, retry: Duration) -> Vec<Posted> {
        let due = self.outbox.iter().filter(|(_, (due_at, _))| *due_at <= self.now);
        let mut due: Vec<_> = due.map(|(key, (due_at, _))| (*due_at, *key)).collect();
        due.retain(|(_, key)| !self.calls_first(*key));
        due.sort_unstable();
        due.truncate(limit);
        due.into_iter().map(|(_, key)| self.take_message(key, retry)).collect()
    }

    /// Whether a message has to wait for the calls of its run.
    fn calls_first(&self, (tenant, run, number): (TenantId, RunId, u64)) -> bool {
        let earlier = (tenant, run, 0)..(tenant, run, number);
        let mut earlier = self.outbox.range(earlier).map(|(_, (_, message))| message);
        let ends = matches!(self.outbox[&(tenant, run, number)].1, Message::EndChildren { .. });
        ends && earlier.any(|message| matches!(message, Message::Call { .. }))
    }

    fn take_message(&mut self, key: (TenantId, RunId, u64), retry: Duration) -> Posted {
        let (tenant, run, number) = key;
        let message = self.outbox[&key].1.clone();
        self.outbox.insert(key, (self.now + retry, message.clone()));
        Posted { tenant, run, number, message }
    }
}

/// The first is the least.
fn order(ready: &Ready) -> (i32, Timestamp, RunId) {
    (-ready.priority, ready.ready_at, ready.run)
}
