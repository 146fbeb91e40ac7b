//! Patch: somebody gives a blocked run the result of a step.

use tenure_core::{EntryStatus, Key, Name, Result, RunId, Steering};
use tenure_store::FullRun;

use super::Service;
use crate::ledger::Command;

impl Service {
    /// Records a result for a step of a blocked run, and puts the run back into the queue.
    pub async fn patch_run(
        &self,
        tenant: &Name,
        run: RunId,
        key: Key,
        status: EntryStatus,
        by: Steering,
    ) -> Result<FullRun> {
        let tenant = self.tenant_id(tenant).await?;
        let decide = Box::new(move |run: &tenure_core::Run, now| {
            run.patch(key.clone(), status.clone(), by.clone(), now).map(Some)
        });
        self.ledger.apply(Command::Change { tenant, run, decide }).await?;
        self.full_run(tenant, run).await
    }
}
