//! Agents: create, get, list.

use tenure_core::agent::Agent;
use tenure_core::{AgentId, Error, Name, Result};

use super::Service;

impl Service {
    /// Creates an agent without a version; its name must be free in the tenant.
    pub async fn create_agent(&self, tenant: &Name, name: Name) -> Result<Agent> {
        let tenant = self.tenant_id(tenant).await?;
        let mut tx = self.store.begin().await?;
        let id = AgentId::new(self.entropy.object_id());
        let created_at = tx.now().await?;
        let agent = Agent { id, tenant, name, latest: 0, max_running: None, created_at };
        if !tx.insert_agent(&agent).await? {
            return Err(Error::already_exists(format!("agent `{}` exists", agent.name)));
        }
        tx.commit().await?;
        Ok(agent)
    }

    /// The agent with this name.
    pub async fn get_agent(&self, tenant: &Name, name: &Name) -> Result<Agent> {
        let tenant = self.tenant_id(tenant).await?;
        self.agent(tenant, name).await
    }

    /// Up to `limit` agents by name, after `after`.
    pub async fn list_agents(
        &self,
        tenant: &Name,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<Agent>> {
        let tenant = self.tenant_id(tenant).await?;
        Ok(self.store.list_agents(tenant, after, limit).await?)
    }
}
