//! Aliases: set, list.

use tenure_core::agent::{Alias, AliasTarget};
use tenure_core::{Error, Name, Result};

use super::Service;

impl Service {
    /// Points an alias to versions that exist; creates it if need be.
    pub async fn set_alias(
        &self,
        tenant: &Name,
        agent: &Name,
        alias: Name,
        targets: Vec<AliasTarget>,
    ) -> Result<Alias> {
        // A name of digits could never be told from a version's number.
        if alias.as_str().bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::invalid(format!("alias `{alias}` reads like a version's number")));
        }
        let tenant = self.tenant_id(tenant).await?;
        let agent = self.agent(tenant, agent).await?;
        let alias = Alias::new(agent.id, alias, targets)?;
        for target in &alias.targets {
            let number = target.version;
            if self.version(tenant, agent.id, number).await?.is_none() {
                let name = &agent.name;
                return Err(Error::not_found(format!("agent `{name}` has no version {number}")));
            }
        }
        let mut tx = self.store.begin().await?;
        tx.set_alias(tenant, &alias).await?;
        tx.commit().await?;
        Ok(alias)
    }

    /// The aliases of an agent, by name.
    pub async fn list_aliases(&self, tenant: &Name, agent: &Name) -> Result<Vec<Alias>> {
        let tenant = self.tenant_id(tenant).await?;
        let agent = self.agent(tenant, agent).await?;
        Ok(self.store.list_aliases(tenant, agent.id).await?)
    }
}
