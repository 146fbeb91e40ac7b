//! Cancel: somebody wants the run to end.

use tenure_core::{Name, Result, RunId, Steering};
use tenure_store::FullRun;

use super::Service;
use crate::ledger::Command;

impl Service {
    /// Cancels a run at once if nobody is working on it, else asks its worker to stop. An ended run
    /// is returned as it is.
    pub async fn cancel_run(&self, tenant: &Name, run: RunId, by: Steering) -> Result<FullRun> {
        let tenant = self.tenant_id(tenant).await?;
        let grace = self.settings.cancel_grace;
        let decide =
            Box::new(move |run: &tenure_core::Run, now| run.cancel(by.clone(), now, grace));
        self.ledger.apply(Command::Change { tenant, run, decide }).await?;
        self.full_run(tenant, run).await
    }
}
