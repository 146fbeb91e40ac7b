//! Prioritize: somebody moves the run within its queue.

use tenure_core::{Name, Result, RunId, Steering};
use tenure_store::FullRun;

use super::Service;
use crate::ledger::Command;

impl Service {
    /// Gives a run another priority, from the next time that it is in the queue.
    pub async fn prioritize_run(
        &self,
        tenant: &Name,
        run: RunId,
        priority: i32,
        by: Steering,
    ) -> Result<FullRun> {
        let tenant = self.tenant_id(tenant).await?;
        let decide =
            Box::new(move |run: &tenure_core::Run, now| run.prioritize(priority, by.clone(), now));
        self.ledger.apply(Command::Change { tenant, run, decide }).await?;
        self.full_run(tenant, run).await
    }
}
