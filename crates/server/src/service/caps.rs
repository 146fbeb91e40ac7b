//! Caps: how many runs may be leased at a time, of a tenant or of an agent.

use tenure_core::agent::{Agent, Tenant};
use tenure_core::queue::Capped;
use tenure_core::{Error, Name, Result};

use super::Service;

impl Service {
    /// Sets or removes the cap of a tenant.
    pub async fn set_tenant_cap(&self, tenant: &Name, max_running: Option<i32>) -> Result<Tenant> {
        let id = self.tenant_id(tenant).await?;
        self.set_cap((id, None), max_running).await?;
        self.get_tenant(tenant).await
    }

    /// Sets or removes the cap of an agent.
    pub async fn set_agent_cap(
        &self,
        tenant: &Name,
        agent: &Name,
        max_running: Option<i32>,
    ) -> Result<Agent> {
        let id = self.tenant_id(tenant).await?;
        let found = self.agent(id, agent).await?;
        self.set_cap((id, Some(found.id)), max_running).await?;
        self.forget_agent(id, agent);
        self.agent(id, agent).await
    }

    async fn set_cap(&self, of: Capped, max_running: Option<i32>) -> Result<()> {
        let max_running = max_running.map(checked).transpose()?;
        let mut tx = self.store.begin().await?;
        if !tx.set_cap(of, max_running).await? {
            return Err(Error::not_found("what is to be capped is gone"));
        }
        Ok(tx.commit().await?)
    }
}

fn checked(max_running: i32) -> Result<u32> {
    match u32::try_from(max_running) {
        Ok(0) | Err(_) => Err(Error::invalid(format!(
            "max_running is {max_running}: use 1 or more, or leave it out for no cap"
        ))),
        Ok(some) => Ok(some),
    }
}
