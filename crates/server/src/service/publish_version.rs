//! Publish: a specification becomes an immutable version of the agent that it names.

use bytes::Bytes;
use tenure_core::agent::{Agent, Version};
use tenure_core::{AgentId, Digest, Error, Name, Result, TenantId};
use tenure_store::Tx;

use super::Service;

impl Service {
    /// Publishes a document, YAML or JSON; the same content twice is the same version. Answers the
    /// agent's name, the version, and whether it is new.
    pub async fn publish_version(
        &self,
        tenant: &Name,
        document: &str,
    ) -> Result<(Name, Version, bool)> {
        let spec = tenure_spec::parse(document).map_err(|problems| {
            Error::invalid(format!("the specification is wrong:\n{problems}"))
        })?;
        let name: Name = spec.name.parse()?;
        let pool: Name = spec.pool.parse()?;
        let canonical = Bytes::from(spec.canonical());
        let digest = Digest::of(&canonical);
        let tenant = self.tenant_id(tenant).await?;

        let mut tx = self.store.begin().await?;
        let agent = self.lock_or_create_agent(&mut *tx, tenant, &name).await?;
        if let Some(version) = tx.find_version_by_digest(tenant, agent.id, &digest).await? {
            return Ok((name, version, false));
        }
        let version = Version {
            agent: agent.id,
            number: agent.latest + 1,
            digest,
            pool,
            spec: canonical,
            created_at: tx.now().await?,
        };
        tx.insert_version(tenant, &version).await?;
        tx.commit().await?;
        self.forget_agent(tenant, &name);
        Ok((name, version, true))
    }

    async fn lock_or_create_agent(
        &self,
        tx: &mut dyn Tx,
        tenant: TenantId,
        name: &Name,
    ) -> Result<Agent> {
        if let Some(agent) = tx.lock_agent(tenant, name).await? {
            return Ok(agent);
        }
        let id = AgentId::new(self.entropy.object_id());
        let created_at = tx.now().await?;
        let agent =
            Agent { id, tenant, name: name.clone(), latest: 0, max_running: None, created_at };
        if tx.insert_agent(&agent).await? {
            return Ok(agent);
        }
        // Somebody published the first version meanwhile.
        let theirs = tx.lock_agent(tenant, name).await?;
        theirs.ok_or_else(|| Error::internal(format!("agent `{name}` is taken and not there")))
    }
}
