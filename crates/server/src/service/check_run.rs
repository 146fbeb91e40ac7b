//! Check: a run replays another's journal and says whether the code still agrees with it.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::run::RetryPolicy;
use tenure_core::{Error, Name, Payload, Result, RunId};
use tenure_store::FullRun;

use super::Service;
use super::create_run::{CreateRun, Origin};

/// How long a check may take, the wait for a worker included.
const PATIENCE: Duration = Duration::from_mins(10);

impl Service {
    /// Creates a run that checks another's journal, on its version or on this one.
    pub async fn check_run(&self, tenant: &Name, run: RunId, version: String) -> Result<FullRun> {
        let name = tenant;
        let tenant = self.tenant_id(name).await?;
        let checked = self.full_run(tenant, run).await?;
        if checked.run.check.is_some() {
            return Err(Error::wrong_state(format!(
                "{run} is a check itself: check the run it checks"
            )));
        }
        let version = if version.is_empty() { checked.run.version.to_string() } else { version };
        let request = CreateRun {
            tenant: name.clone(),
            agent: checked.agent,
            version,
            // The worker is given what the checked run was given.
            input: Payload::default(),
            labels: BTreeMap::new(),
            start_after: Duration::ZERO,
            idempotency: None,
            max_attempts: Some(3),
            retry: RetryPolicy::default(),
            priority: 0,
            timeout: Some(PATIENCE),
            concurrency: None,
            // Its code decides by it what it does next.
            budget: checked.run.budget,
        };
        self.create(tenant, request, Origin { parent: None, check: Some(run) }).await
    }
}
