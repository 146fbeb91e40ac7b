//! What never changes and is asked for all the time: which tenant a name is, which agent an id is,
//! what a version says. Kept in memory, because asking again can only give the same answer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tenure_core::agent::{Agent, Version};
use tenure_core::{AgentId, Error, Name, Result, TenantId};

use super::Service;

#[derive(Default)]
pub(super) struct Catalog {
    tenants: Cache<Name, TenantId>,
    agents: Cache<(TenantId, AgentId), Name>,
    versions: Cache<(TenantId, AgentId, u32), Arc<Version>>,
}

/// A map that is emptied when it is full: simple, bounded, and refilled by what is in use.
struct Cache<K, V>(Mutex<HashMap<K, V>>);

/// Objects in one cache. A version of the largest size 256 KiB makes this the bound that matters.
const CACHED: usize = 1_000;

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: K, value: V) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= CACHED {
            map.clear();
        }
        map.insert(key, value);
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
