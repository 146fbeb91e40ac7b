//! Versions: get by number, alias or digest; list.

use std::sync::Arc;

use bytes::Bytes;
use tenure_core::agent::{Agent, Version};
use tenure_core::{Digest, Error, Name, Result, TenantId};

use super::Service;

impl Service {
    /// The version that `selector` names: a number, an alias, or nothing for the newest.
    pub async fn get_version(
        &self,
        tenant: &Name,
        agent: &Name,
        selector: &str,
    ) -> Result<Arc<Version>> {
        let tenant = self.tenant_id(tenant).await?;
        let agent = self.agent(tenant, agent).await?;
        self.select_version(tenant, &agent, selector).await
    }

    /// Up to `limit` versions of an agent with numbers below `before`, newest first.
    pub async fn list_versions(
        &self,
        tenant: &Name,
        agent: &Name,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Version>> {
        let tenant = self.tenant_id(tenant).await?;
        let agent = self.agent(tenant, agent).await?;
        Ok(self.store.list_versions(tenant, agent.id, before, limit).await?)
    }

    /// The canonical specification with this digest.
    pub async fn get_spec(&self, tenant: &Name, digest: &Digest) -> Result<Bytes> {
        let tenant = self.tenant_id(tenant).await?;
        let found = self.store.find_spec(tenant, digest).await?;
        let missing = || Error::not_found(format!("there is no specification {digest}"));
        Ok(found.ok_or_else(missing)?.spec)
    }

    pub(super) async fn select_version(
        &self,
        tenant: TenantId,
        agent: &Agent,
        selector: &str,
    ) -> Result<Arc<Version>> {
        let name = &agent.name;
        let number = match selector {
            "" if agent.latest == 0 => {
                return Err(Error::wrong_state(format!("agent `{name}` has no version yet")));
            }
            "" => agent.latest,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().unwrap_or(u32::MAX)
            }
            alias => self.pick_alias(tenant, agent, alias).await?,
        };
        let found = self.version(tenant, agent.id, number).await?;
        found.ok_or_else(|| Error::not_found(format!("agent `{name}` has no version {number}")))
    }

    async fn pick_alias(&self, tenant: TenantId, agent: &Agent, alias: &str) -> Result<u32> {
        let aliases = self.store.list_aliases(tenant, agent.id).await?;
        let found = aliases.iter().find(|known| known.name.as_str() == alias);
        let missing = || {
            let alias = alias.escape_debug().take(64).collect::<String>();
            Error::not_found(format!("agent `{}` has no alias `{alias}`", agent.name))
        };
        Ok(found.ok_or_else(missing)?.pick(self.entropy.random()))
    }
}
