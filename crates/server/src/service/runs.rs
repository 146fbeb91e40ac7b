//! Runs: get, list.

use tenure_core::{Error, Name, Result, RunId, StateName, TenantId};
use tenure_store::{FullRun, RunFilter};

use super::Service;

/// Which runs a caller wants to see.
#[derive(Clone, Debug, Default)]
pub struct ListRuns {
    /// Only runs of this agent.
    pub agent: Option<Name>,
    /// Only runs in one of these states; empty for all.
    pub states: Vec<StateName>,
    /// Only runs that failed with this code.
    pub failure_code: Option<String>,
    /// Only runs that this run called.
    pub parent: Option<RunId>,
    /// Only runs with this concurrency key.
    pub concurrency: Option<String>,
}

impl Service {
    /// A run with everything about it.
    pub async fn get_run(&self, tenant: &Name, run: RunId) -> Result<FullRun> {
        let tenant = self.tenant_id(tenant).await?;
        self.full_run(tenant, run).await
    }

    /// Up to `limit` runs that pass the filter with ids below `before`, newest first. Checks are not
    /// among them.
    pub async fn list_runs(
        &self,
        tenant: &Name,
        list: ListRuns,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<FullRun>> {
        let tenant = self.tenant_id(tenant).await?;
        let agent = match &list.agent {
            Some(name) => Some(self.agent(tenant, name).await?.id),
            None => None,
        };
        let ListRuns { states, failure_code, parent, concurrency, .. } = list;
        let filter = RunFilter { agent, states, failure_code, parent, concurrency };
        Ok(self.store.list_runs(tenant, &filter, before, limit).await?)
    }

    pub(super) async fn full_run(&self, tenant: TenantId, run: RunId) -> Result<FullRun> {
        let found = self.store.find_run(tenant, run).await?;
        found.ok_or_else(|| Error::not_found(format!("there is no run {run}")))
    }
}
