//! Runs: get, list.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::{Error, Name, Result, RunId, StateName, TenantId, limits};
use tenure_store::{FullRun, Hint, RunFilter};
use tokio::time::Instant;

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

/// The first and the longest pause before somebody who waits for the end of a run looks for itself, in
/// case no hint came.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl Service {
    /// A run with everything about it; as it is when it has ended, or after `wait`.
    pub async fn get_run(&self, tenant: &Name, run: RunId, wait: Duration) -> Result<FullRun> {
        let tenant = self.tenant_id(tenant).await?;
        let found = self.full_run(tenant, run).await?;
        self.when_ended(found, wait).await
    }

    /// The run when it has ended, or as it is after `wait`.
    pub(super) async fn when_ended(&self, full: FullRun, wait: Duration) -> Result<FullRun> {
        let (tenant, run) = (full.run.tenant, full.run.id);
        if wait.is_zero() || full.run.state.is_terminal() {
            return Ok(full);
        }
        let until = Instant::now() + wait.min(limits::LONG_POLL);
        let ended = self.wake.subscribe([Hint::Ended(tenant, run)]);
        let (mut said, mut pause) = (None, LOOK.0);
        // What was known here to be alive had not ended when it was looked at, or a hint comes.
        let known = self.memory.get((tenant, run));
        let mut seen = Some(known.unwrap_or_else(|| Arc::new(full.run.clone())));
        loop {
            if let Some(seen) = seen.as_ref().filter(|seen| seen.state.is_terminal()) {
                return Ok(FullRun { run: (**seen).clone(), ..full });
            }
            if seen.is_none() {
                let found = self.full_run(tenant, run).await?;
                if found.run.state.is_terminal() || Instant::now() >= until {
                    return Ok(found);
                }
            }
            // What is leased to a worker of this replica is likely to end here.
            let here = self.memory.get((tenant, run)).is_some();
            if !here {
                self.wake.watch(tenant, run, &mut said);
            }
            let look = if here { LOOK.1 } else { pause };
            pause = (pause * 2).min(LOOK.1);
            seen = tokio::select! {
                () = ended.changed() => {
                    let known = self.memory.get((tenant, run));
                    known.filter(|known| known.state.is_terminal())
                }
                () = tokio::time::sleep(look) => None,
                () = tokio::time::sleep_until(until) => None,
            };
        }
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
