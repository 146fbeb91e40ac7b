//! The model's transaction: a copy of everything, and the turn to replace the original.

use std::collections::btree_map::Entry as Place;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::{AgentId, Digest, Name, Run, RunId, TenantId, Timestamp, Transition};
use tenure_store::{Locked, Result, RunKey, StoreError, Tx};
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

    async fn lock_ready(
        &mut self,
        tenant: TenantId,
        pools: &[Name],
        limit: usize,
    ) -> Result<(Timestamp, Vec<Run>)> {
        let now = self.state.now;
        let of_pools = self.state.ready.iter().filter(|((of, _), (pool, ready_at))| {
            *of == tenant && pools.contains(pool) && *ready_at <= now
        });
        let mut due: Vec<_> = of_pools.map(|(key, (_, ready_at))| (*ready_at, *key)).collect();
        due.sort_unstable();
        due.truncate(limit);
        let mut runs = Vec::new();
        for (_, key) in due {
            match self.state.runs.get(&key) {
                Some(run) if run.ready_at().is_some() => runs.push(run.clone()),
                Some(_) | None => drop(self.state.ready.remove(&key)),
            }
        }
        Ok((now, runs))
    }

    async fn lock_expired(&mut self, limit: usize) -> Result<(Timestamp, Vec<Run>)> {
        let now = self.state.now;
        let due = self.state.runs.values().filter(|run| run.expire(now).is_some());
        Ok((now, due.take(limit).cloned().collect()))
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
