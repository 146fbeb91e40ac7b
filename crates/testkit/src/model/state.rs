//! What the model holds: the contract's tables as maps, and how a transition changes them.

use std::collections::BTreeMap;

use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::allowance::{Day, Hold, Period};
use tenure_core::run::InboxItem;
use tenure_core::{
    AgentId, Budget, Effect, Entry, Interrupt, InterruptId, InterruptState, Key, Message, Name,
    Payload, Run, RunId, TenantId, Timestamp, Transition, Usage,
};
use tenure_store::{AHEAD, BEHIND, FullRun, Known, Result, RunKey, SeenAgent, StoreError};

use super::queue::Place;

/// Everything that the store holds.
#[derive(Clone, Default)]
pub(super) struct State {
    pub now: Timestamp,
    pub tenants: BTreeMap<TenantId, Tenant>,
    pub agents: BTreeMap<(TenantId, AgentId), Agent>,
    pub versions: BTreeMap<(TenantId, AgentId, u32), Version>,
    pub aliases: BTreeMap<(TenantId, AgentId, Name), Alias>,
    pub keys: BTreeMap<(TenantId, String), RunKey>,
    pub runs: BTreeMap<(TenantId, RunId), Run>,
    pub inputs: BTreeMap<(TenantId, RunId), (Payload, BTreeMap<String, String>)>,
    pub ready: BTreeMap<(TenantId, RunId), Place>,
    pub allowances: BTreeMap<(TenantId, Option<AgentId>, Period), Budget>,
    /// Calls of tools apart: there may be less of them with an entry.
    pub spent: BTreeMap<(TenantId, Day, AgentId), (Usage, i64)>,
    pub holds: BTreeMap<(TenantId, RunId, Key), Hold>,
    pub turns: BTreeMap<(TenantId, String), RunId>,
    pub polls: BTreeMap<(TenantId, Name), Timestamp>,
    pub journal: BTreeMap<(TenantId, RunId, u64), Entry>,
    pub inbox: BTreeMap<(TenantId, RunId, u64), InboxItem>,
    pub interrupts: BTreeMap<(TenantId, InterruptId), Interrupt>,
    /// Messages with the time at which each is due.
    pub outbox: BTreeMap<(TenantId, RunId, u64), (Timestamp, Message)>,
    pub artifacts: BTreeMap<(TenantId, RunId, String), Artifact>,
}

impl State {
    pub(super) fn agent(&self, tenant: TenantId, name: &Name) -> Option<Agent> {
        self.agents.values().find(|agent| agent.tenant == tenant && agent.name == *name).cloned()
    }

    pub(super) fn full_run(&self, tenant: TenantId, run: RunId) -> Option<FullRun> {
        let run = self.runs.get(&(tenant, run))?.clone();
        let (input, labels) = self.inputs.get(&(tenant, run.id))?.clone();
        let agent = self.agents.get(&(tenant, run.agent))?.name.clone();
        Some(FullRun { run, agent, input, labels })
    }

    pub(super) fn entries(&self, tenant: TenantId, run: RunId) -> Vec<Entry> {
        let of_run = self.journal.iter().filter(|((of, by, _), _)| (*of, *by) == (tenant, run));
        of_run.map(|(_, entry)| entry.clone()).collect()
    }

    pub(super) fn items(&self, tenant: TenantId, run: RunId) -> Vec<InboxItem> {
        let of_run = self.inbox.iter().filter(|((of, by, _), _)| (*of, *by) == (tenant, run));
        of_run.map(|(_, item)| item.clone()).collect()
    }

    pub(super) fn has_source(&self, tenant: TenantId, run: RunId, source: &str) -> bool {
        self.items(tenant, run).iter().any(|item| item.source == source)
    }

    /// Leases and cancels whose time is up, then deadlines that have passed.
    pub(super) fn expired(&self, limit: usize) -> Vec<Run> {
        let now = self.now;
        let due = self.runs.values().filter(|run| run.expire(now).is_some());
        let (mut expired, mut late): (Vec<&Run>, Vec<&Run>) = due.partition(|run| {
            let forced = run.cancel_asked().is_some_and(|(_, force_at)| force_at <= now);
            forced || run.lease_held().is_some_and(|lease| lease.expired(now))
        });
        expired.sort_by_key(|run| run.lease_held().map(|lease| lease.until));
        late.sort_by_key(|run| run.deadline);
        expired.into_iter().chain(late).take(limit).cloned().collect()
    }

    /// Saves one transition.
    pub(super) fn save(&mut self, transition: &Transition) -> Result<()> {
        let run = &transition.run;
        let key = (run.tenant, run.id);
        let found = self.runs.get(&key).map(|run| run.revision);
        if found != transition.before {
            return Err(StoreError::Conflict(format!("{} has revision {found:?}", run.id)));
        }
        self.runs.insert(key, run.clone());
        transition.effects.iter().try_for_each(|effect| self.apply(run, effect))
    }

    /// This with what was decided from memory, if everything is as it was known.
    pub(super) fn save_known(&self, known: &Known) -> Option<Self> {
        let in_time = known.at + BEHIND >= self.now && known.at <= self.now + AHEAD;
        let seen = known.agents.iter().all(|seen| self.is_as_seen(seen));
        let mut after = self.clone();
        let free = known
            .keys
            .iter()
            .all(|key| after.keys.insert((key.tenant, key.key.clone()), key.clone()).is_none());
        let saved = known.transitions.iter().try_for_each(|transition| after.save(transition));
        (in_time && seen && free && saved.is_ok()).then_some(after)
    }

    fn is_as_seen(&self, seen: &SeenAgent) -> bool {
        let SeenAgent { tenant, agent, latest, uncapped } = *seen;
        let capped =
            [(tenant, None), (tenant, Some(agent))].into_iter().any(|of| self.cap(of).is_some());
        self.agents.get(&(tenant, agent)).is_some_and(|found| found.latest == latest)
            && !(uncapped && capped)
    }

    pub(super) fn input(&self, run: (TenantId, RunId)) -> Option<Payload> {
        self.inputs.get(&run).map(|(input, _)| input.clone())
    }

    fn apply(&mut self, run: &Run, effect: &Effect) -> Result<()> {
        let (tenant, id) = (run.tenant, run.id);
        match effect {
            Effect::Open { input, labels } => {
                self.inputs.insert((tenant, id), (input.clone(), labels.clone()));
            }
            Effect::Append(entry) => {
                self.append(tenant, id, entry)?;
                self.spend(run, entry);
            }
            Effect::Receive(item) => {
                let known = self.has_source(tenant, id, &item.source);
                let taken = self.inbox.insert((tenant, id, item.number), item.clone());
                if known || taken.is_some() {
                    return Err(StoreError::Conflict(format!("{id} has `{}`", item.source)));
                }
            }
            Effect::OpenInterrupt(interrupt) => {
                let key = (tenant, interrupt.id);
                if self.interrupts.insert(key, (**interrupt).clone()).is_some() {
                    return Err(StoreError::Conflict(format!("{} is open", interrupt.id)));
                }
            }
            Effect::EndInterrupt { id, state } => self.end(tenant, *id, state)?,
            Effect::CloseInterrupts { at } => self.close(tenant, id, *at),
            Effect::Post { number, message } => {
                let row = (self.now, message.clone());
                if self.outbox.insert((tenant, id, *number), row).is_some() {
                    return Err(StoreError::Conflict(format!("{id} has message {number}")));
                }
            }
            Effect::Enqueue { ready_at } => self.enqueue(run, *ready_at),
            Effect::Dequeue => {
                self.ready.remove(&(tenant, id));
            }
            Effect::WakeOwner(_) | Effect::WakeWatchers => {}
        }
        Ok(())
    }

    pub(super) fn append(&mut self, tenant: TenantId, run: RunId, entry: &Entry) -> Result<()> {
        match self.journal.insert((tenant, run, entry.seq), entry.clone()) {
            None => Ok(()),
            Some(_) => Err(StoreError::Conflict(format!("{run} has entry {}", entry.seq))),
        }
    }

    fn end(&mut self, tenant: TenantId, id: InterruptId, state: &InterruptState) -> Result<()> {
        match self.interrupts.get_mut(&(tenant, id)) {
            Some(interrupt) if interrupt.state == InterruptState::Open => {
                interrupt.state = state.clone();
                Ok(())
            }
            Some(_) | None => Err(StoreError::Conflict(format!("{id} is not open"))),
        }
    }

    fn close(&mut self, tenant: TenantId, run: RunId, at: Timestamp) {
        let of_run = self.interrupts.values_mut().filter(|interrupt| {
            (interrupt.tenant, interrupt.run) == (tenant, run)
                && interrupt.state == InterruptState::Open
        });
        of_run.for_each(|interrupt| interrupt.state = InterruptState::Closed { at });
    }
}
