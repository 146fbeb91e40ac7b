//! What never changes and is asked for all the time: which tenant a name is, which agent an id is,
//! what a version says. Kept in memory, because asking again can only give the same answer.

use std::sync::Arc;

use tenure_core::agent::{Agent, Version};
use tenure_core::{AgentId, Error, Name, Result, TenantId};

use super::Service;
use crate::cache::Cache;

pub(super) struct Catalog {
    tenants: Cache<Name, TenantId>,
    /// Agents without a cap as they were last seen: these do change. Whoever uses one has that checked
    /// where it matters.
    seen: Cache<(TenantId, Name), Agent>,
    agents: Cache<(TenantId, AgentId), Name>,
    versions: Cache<(TenantId, AgentId, u32), Arc<Version>>,
}

/// Objects in one cache. A version of the largest size 256 KiB makes this the bound that matters.
const CACHED: usize = 1_000;

impl Default for Catalog {
    fn default() -> Self {
        Self {
            tenants: Cache::of(CACHED),
            seen: Cache::of(CACHED),
            agents: Cache::of(CACHED),
            versions: Cache::of(CACHED),
        }
    }
}

impl Service {
    /// The tenant with this name.
    pub(super) async fn tenant_id(&self, name: &Name) -> Result<TenantId> {
        if let Some(id) = self.catalog.tenants.get(name) {
            return Ok(id);
        }
        let found = self.store.find_tenant(name).await?;
        let tenant =
            found.ok_or_else(|| Error::not_found(format!("there is no tenant `{name}`")))?;
        self.catalog.tenants.put(name.clone(), tenant.id);
        Ok(tenant.id)
    }

    /// The agent with this name: not cached, its latest version changes.
    pub(super) async fn agent(&self, tenant: TenantId, name: &Name) -> Result<Agent> {
        let found = self.store.find_agent(tenant, name).await?;
        found.ok_or_else(|| Error::not_found(format!("there is no agent `{name}`")))
    }

    /// The agent as it was last seen, and whether neither it nor its tenant had a cap. Those that
    /// have one are looked up each time: it may be lifted.
    pub(super) async fn seen_agent(
        &self,
        tenant: &Name,
        id: TenantId,
        name: &Name,
    ) -> Result<(Agent, bool)> {
        let place = (id, name.clone());
        if let Some(agent) = self.catalog.seen.get(&place) {
            return Ok((agent, true));
        }
        let agent = self.agent(id, name).await?;
        let found = self.store.find_tenant(tenant).await?;
        let capped =
            agent.max_running.is_some() || found.is_none_or(|tenant| tenant.max_running.is_some());
        if !capped {
            self.catalog.seen.put(place, agent.clone());
        }
        Ok((agent, !capped))
    }

    /// The agent is not as it was seen.
    pub(super) fn forget_agent(&self, tenant: TenantId, name: &Name) {
        self.catalog.seen.remove(&(tenant, name.clone()));
    }

    /// The name of the agent with this id.
    pub(super) async fn agent_name(&self, tenant: TenantId, agent: AgentId) -> Result<Name> {
        let place = (tenant, agent);
        if let Some(name) = self.catalog.agents.get(&place) {
            return Ok(name);
        }
        let found = self.store.get_agent(tenant, agent).await?;
        let found =
            found.ok_or_else(|| Error::internal(format!("{agent} has a run and no row")))?;
        self.catalog.agents.put(place, found.name.clone());
        Ok(found.name)
    }

    /// A version, which a run or an alias points to.
    pub(super) async fn version(
        &self,
        tenant: TenantId,
        agent: AgentId,
        number: u32,
    ) -> Result<Option<Arc<Version>>> {
        let place = (tenant, agent, number);
        if let Some(version) = self.catalog.versions.get(&place) {
            return Ok(Some(version));
        }
        let Some(version) = self.store.find_version(tenant, agent, number).await? else {
            return Ok(None);
        };
        let version = Arc::new(version);
        self.catalog.versions.put(place, version.clone());
        Ok(Some(version))
    }
}
