//! Runs: get, list.

use tenure_core::{Error, Name, Result, RunId, StateName, TenantId};
use tenure_store::{FullRun, RunFilter};

use super::Service;

impl Service {
    /// A run with everything about it.
    pub async fn get_run(&self, tenant: &Name, run: RunId) -> Result<FullRun> {
        let tenant = self.tenant_id(tenant).await?;
        self.full_run(tenant, run).await
    }

    /// Up to `limit` runs of this agent and in these states with ids below `before`, newest first.
    pub async fn list_runs(
        &self,
        tenant: &Name,
        agent: Option<&Name>,
        states: Vec<StateName>,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<FullRun>> {
        let tenant = self.tenant_id(tenant).await?;
        let agent = match agent {
            Some(name) => Some(self.agent(tenant, name).await?.id),
            None => None,
        };
        let filter = RunFilter { agent, states };
        Ok(self.store.list_runs(tenant, &filter, before, limit).await?)
    }

    pub(super) async fn full_run(&self, tenant: TenantId, run: RunId) -> Result<FullRun> {
        let found = self.store.find_run(tenant, run).await?;
        found.ok_or_else(|| Error::not_found(format!("there is no run {run}")))
    }
}
