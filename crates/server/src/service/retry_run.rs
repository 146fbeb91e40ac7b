//! Retry: somebody wants the run to be tried again now.

use tenure_core::{Name, Result, RunId, Steering};
use tenure_store::FullRun;

use super::Service;
use crate::ledger::Command;

impl Service {
    /// Puts a blocked run back into the queue, or ends the pause before its next attempt.
    pub async fn retry_run(&self, tenant: &Name, run: RunId, by: Steering) -> Result<FullRun> {
        let tenant = self.tenant_id(tenant).await?;
        let decide = Box::new(move |run: &tenure_core::Run, now| run.retry(by.clone(), now));
        self.ledger.apply(Command::Change { tenant, run, decide }).await?;
        self.full_run(tenant, run).await
    }
}
