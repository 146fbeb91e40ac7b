//! Pause: somebody wants the run to rest.

use tenure_core::{Name, Result, RunId, Steering};
use tenure_store::FullRun;

use super::Service;
use crate::ledger::Command;

impl Service {
    /// Pauses a run at once if nobody is working on it, else asks its worker to give it back.
    pub async fn pause_run(&self, tenant: &Name, run: RunId, by: Steering) -> Result<FullRun> {
        let tenant = self.tenant_id(tenant).await?;
        let decide = Box::new(move |run: &tenure_core::Run, now| run.pause(by.clone(), now));
        self.ledger.apply(Command::Change { tenant, run, decide }).await?;
        self.full_run(tenant, run).await
    }
}
