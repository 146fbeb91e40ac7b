//! Tenants: create, get, list.

use tenure_core::agent::Tenant;
use tenure_core::{Error, Name, Result, TenantId};

use super::Service;

impl Service {
    /// Creates a tenant; its name must be free.
    pub async fn create_tenant(&self, name: Name) -> Result<Tenant> {
        let mut tx = self.store.begin().await?;
        let id = TenantId::new(self.entropy.object_id());
        let created_at = tx.now().await?;
        let tenant =
            Tenant { id, name, max_running: None, policy: None, metered: false, created_at };
        if !tx.insert_tenant(&tenant).await? {
            return Err(Error::already_exists(format!("tenant `{}` exists", tenant.name)));
        }
        tx.commit().await?;
        Ok(tenant)
    }

    /// Creates a tenant unless it exists, for a control plane that has to start with one.
    pub async fn ensure_tenant(&self, name: Name) -> Result<()> {
        if self.store.find_tenant(&name).await?.is_some() {
            return Ok(());
        }
        match self.create_tenant(name).await {
            // Another replica was faster.
            Err(error) if error.kind() == tenure_core::ErrorKind::AlreadyExists => Ok(()),
            created => created.map(|_| ()),
        }
    }

    /// The tenant with this name.
    pub async fn get_tenant(&self, name: &Name) -> Result<Tenant> {
        let found = self.store.find_tenant(name).await?;
        found.ok_or_else(|| Error::not_found(format!("there is no tenant `{name}`")))
    }

    /// Sets or removes the policy of a tenant: what the tools of all its agents may do at most. It
    /// counts from the next reply of a model on, in runs that are under way too.
    pub async fn set_tenant_policy(&self, tenant: &Name, document: Option<&str>) -> Result<Tenant> {
        if let Some(document) = document {
            tenure_spec::policy(document)
                .map_err(|problems| Error::invalid(format!("the policy is wrong:\n{problems}")))?;
        }
        let id = self.tenant_id(tenant).await?;
        let mut tx = self.store.begin().await?;
        if !tx.set_policy(id, document).await? {
            return Err(Error::not_found(format!("there is no tenant `{tenant}`")));
        }
        tx.commit().await?;
        self.get_tenant(tenant).await
    }

    /// Up to `limit` tenants by name, after `after`.
    pub async fn list_tenants(&self, after: Option<&Name>, limit: usize) -> Result<Vec<Tenant>> {
        Ok(self.store.list_tenants(after, limit).await?)
    }
}
