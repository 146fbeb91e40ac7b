//! The model's transaction: a copy of everything, and the turn to replace the original.

use std::collections::HashMap;
use std::collections::btree_map::Entry as Place;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::allowance::{Allowance, Hold, Standing};
use tenure_core::queue::{Cap, Capped, Ready};
use tenure_core::{
    AgentId, Digest, Interrupt, InterruptId, Name, Run, RunId, TenantId, Timestamp, Transition,
};
use tenure_store::{Locked, Posted, Prefix, Result, RunKey, StoreError, Turn, Tx};
use tokio::sync::OwnedMutexGuard;

use super::lock;
use super::state::State;

/// A write transaction of the model.
pub(super) struct ModelTx {
    state: State,
    shared: Arc<Mutex<State>>,
    failed: bool,
    _turn: OwnedMutexGuard<()>,
}

impl ModelTx {
    pub(super) fn new(state: State, shared: Arc<Mutex<State>>, turn: OwnedMutexGuard<()>) -> Self {
        Self { state, shared, failed: false, _turn: turn }
    }

    fn fail<T>(&mut self, why: impl Into<String>) -> Result<T> {
        self.failed = true;
        Err(StoreError::Conflict(why.into()))
    }
}

#[async_trait]
impl Tx for ModelTx {
    async fn now(&mut self) -> Result<Timestamp> {
        Ok(self.state.now)
    }

    async fn insert_tenant(&mut self, tenant: &Tenant) -> Result<bool> {
        let tenants = &mut self.state.tenants;
        let taken =
            tenants.values().any(|other| other.id == tenant.id || other.name == tenant.name);
        if !taken {
            tenants.insert(tenant.id, tenant.clone());
        }
        Ok(!taken)
    }

    async fn insert_agent(&mut self, agent: &Agent) -> Result<bool> {
        let taken = self.state.agent(agent.tenant, &agent.name).is_some()
            || self.state.agents.contains_key(&(agent.tenant, agent.id));
        if !taken {
            self.state.agents.insert((agent.tenant, agent.id), agent.clone());
        }
        Ok(!taken)
    }

    async fn lock_agent(&mut self, tenant: TenantId, name: &Name) -> Result<Option<Agent>> {
        Ok(self.state.agent(tenant, name))
    }

    async fn find_version_by_digest(
        &mut self,
        tenant: TenantId,
        agent: AgentId,
        digest: &Digest,
    ) -> Result<Option<Version>> {
        let mut versions = self.state.versions.iter();
        let found = versions.find(|((of, on, _), version)| {
            (*of, *on) == (tenant, agent) && version.digest == *digest
        });
        Ok(found.map(|(_, version)| version.clone()))
    }

    async fn insert_version(&mut self, tenant: TenantId, version: &Version) -> Result<()> {
        let key = (tenant, version.agent, version.number);
        let known = self.find_version_by_digest(tenant, version.agent, &version.digest).await?;
        if known.is_some() || self.state.versions.contains_key(&key) {
            return self.fail("the version is taken");
        }
        self.state.versions.insert(key, version.clone());
        if let Some(agent) = self.state.agents.get_mut(&(tenant, version.agent)) {
            agent.latest = version.number;
        }
        Ok(())
    }

    async fn set_alias(&mut self, tenant: TenantId, alias: &Alias) -> Result<()> {
        let key = (tenant, alias.agent, alias.name.clone());
        self.state.aliases.insert(key, alias.clone());
        Ok(())
    }

    async fn reserve_keys(&mut self, keys: &[RunKey]) -> Result<Vec<Option<RunKey>>> {
        let mut reserve = |key: &RunKey| match self.state.keys.entry((key.tenant, key.key.clone()))
        {
            Place::Occupied(taken) => Some(taken.get().clone()),
            Place::Vacant(free) => {
                free.insert(key.clone());
                None
            }
        };
        Ok(keys.iter().map(&mut reserve).collect())
    }

    async fn lock_runs(&mut self, runs: &[(TenantId, RunId)]) -> Result<(Timestamp, Vec<Locked>)> {
        let find = |run| match self.state.runs.get(run) {
            Some(run) => Locked::Run(Arc::new(run.clone())),
            None => Locked::Missing,
        };
        Ok((self.state.now, runs.iter().map(find).collect()))
    }

    async fn find_ready(
        &mut self,
        places: &[(TenantId, Name)],
        limit: usize,
    ) -> Result<Vec<Ready>> {
        Ok(self.state.find_ready(places, limit))
    }

    async fn lock_caps(&mut self, of: &[Capped]) -> Result<HashMap<Capped, Cap>> {
        Ok(of.iter().filter_map(|of| self.state.cap(*of)).collect())
    }

    async fn lock_ready(&mut self, runs: &[(TenantId, RunId)]) -> Result<(Timestamp, Vec<Run>)> {
        let locked = runs.iter().filter_map(|run| self.state.lock_ready(*run)).collect();
        Ok((self.state.now, locked))
    }

    async fn lock_expired(&mut self, limit: usize) -> Result<(Timestamp, Vec<Run>)> {
        Ok((self.state.now, self.state.expired(limit)))
    }

    async fn lock_due(&mut self, limit: usize) -> Result<(Timestamp, Vec<(Run, Interrupt)>)> {
        Ok((self.state.now, self.state.due(limit)))
    }

    async fn read_interrupts(
        &mut self,
        ids: &[(TenantId, InterruptId)],
    ) -> Result<Vec<Option<Interrupt>>> {
        Ok(ids.iter().map(|id| self.state.interrupts.get(id).cloned()).collect())
    }

    async fn inbox_sources(&mut self, sources: &[(TenantId, RunId, String)]) -> Result<Vec<bool>> {
        let known = |(tenant, run, source): &(TenantId, RunId, String)| {
            self.state.has_source(*tenant, *run, source)
        };
        Ok(sources.iter().map(known).collect())
    }

    async fn save(&mut self, transitions: &[Transition]) -> Result<()> {
        for transition in transitions {
            if let Err(error) = self.state.save(transition) {
                return self.fail(error.to_string());
            }
        }
        Ok(())
    }

    async fn take_turns(&mut self, turns: &[Turn]) -> Result<Vec<RunId>> {
        Ok(turns.iter().map(|turn| self.state.take_turn(turn)).collect())
    }

    async fn lock_turn(
        &mut self,
        tenant: TenantId,
        key: &str,
    ) -> Result<(Option<RunId>, Option<RunId>)> {
        let owner = self.state.turns.get(&(tenant, key.to_owned())).copied();
        Ok((owner, self.state.next_turn(tenant, key)))
    }

    async fn set_turn(&mut self, tenant: TenantId, key: &str, run: Option<RunId>) -> Result<()> {
        let key = (tenant, key.to_owned());
        match run {
            Some(run) => self.state.turns.insert(key, run),
            None => self.state.turns.remove(&key),
        };
        Ok(())
    }

    async fn take_messages(&mut self, limit: usize, retry: Duration) -> Result<Vec<Posted>> {
        Ok(self.state.take_messages(limit, retry))
    }

    async fn drop_messages(&mut self, messages: &[(TenantId, RunId, u64)]) -> Result<()> {
        for message in messages {
            self.state.outbox.remove(message);
        }
        Ok(())
    }

    async fn copy_journal(
        &mut self,
        tenant: TenantId,
        from: RunId,
        to: RunId,
        prefix: &Prefix,
    ) -> Result<Option<u64>> {
        let copied = self.state.copy_journal(tenant, from, to, prefix);
        self.failed |= copied.is_err();
        copied
    }

    async fn note_polls(&mut self, places: &[(TenantId, Name)]) -> Result<()> {
        let now = self.state.now;
        self.state.polls.extend(places.iter().map(|place| (place.clone(), now)));
        Ok(())
    }

    async fn set_cap(&mut self, of: Capped, max_running: Option<u32>) -> Result<bool> {
        Ok(self.state.set_cap(of, max_running))
    }

    async fn set_policy(&mut self, tenant: TenantId, policy: Option<&str>) -> Result<bool> {
        let found = self.state.tenants.get_mut(&tenant);
        Ok(found.map(|tenant| tenant.policy = policy.map(Into::into)).is_some())
    }

    async fn set_allowance(&mut self, allowance: &Allowance) -> Result<bool> {
        Ok(self.state.set_allowance(allowance))
    }

    async fn lock_allowances(
        &mut self,
        tenant: TenantId,
        agent: AgentId,
    ) -> Result<(Timestamp, Vec<Standing>)> {
        let mut standings = self.state.standings(tenant);
        standings.retain(|standing| standing.allowance.agent.is_none_or(|of| of == agent));
        Ok((self.state.now, standings))
    }

    async fn hold(&mut self, hold: &Hold, now: Timestamp) -> Result<()> {
        self.state.hold(hold, now);
        Ok(())
    }

    async fn put_artifact(
        &mut self,
        tenant: TenantId,
        artifact: &Artifact,
    ) -> Result<Option<Artifact>> {
        match self.state.artifacts.entry((tenant, artifact.run, artifact.name.clone())) {
            Place::Occupied(taken) => Ok(Some(taken.get().clone())),
            Place::Vacant(free) => {
                free.insert(artifact.clone());
                Ok(None)
            }
        }
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        if self.failed {
            return Err(StoreError::Conflict("a part of the transaction failed".into()));
        }
        // The clock is not part of the transaction: it may have been set meanwhile.
        let mut shared = lock(&self.shared);
        let now = shared.now;
        *shared = State { now, ..self.state };
        Ok(())
    }
}
