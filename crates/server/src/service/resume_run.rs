//! Resume: a paused run may go on.

use tenure_core::{Name, Result, RunId, Steering};
use tenure_store::FullRun;

use super::Service;
use crate::ledger::Command;

impl Service {
    /// Puts a paused run back into the queue.
    pub async fn resume_run(&self, tenant: &Name, run: RunId, by: Steering) -> Result<FullRun> {
        let tenant = self.tenant_id(tenant).await?;
        let decide =
            Box::new(move |run: &tenure_core::Run, now| run.resume(by.clone(), now).map(Some));
        self.ledger.apply(Command::Change { tenant, run, decide }).await?;
        self.full_run(tenant, run).await
    }
}
