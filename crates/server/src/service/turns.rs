//! Turns: of the runs with one concurrency key, one at a time goes on.

use tenure_core::{Error, Result, RunId, TenantId};
use tenure_store::Locked;

use super::{Service, effects};

impl Service {
    /// A run has ended: if it had the turn of this key, the run that has waited longest gets it.
    pub(super) async fn free_turn(&self, tenant: TenantId, run: RunId, key: &str) -> Result<()> {
        loop {
            let mut tx = self.store.begin().await?;
            // Locked first: a run that is created meanwhile waits here, and is seen.
            let (holder, next) = tx.lock_turn(tenant, key).await?;
            if holder != Some(run) {
                return Ok(tx.commit().await?);
            }
            tx.set_turn(tenant, key, next).await?;
            let Some(next) = next else { return Ok(tx.commit().await?) };
            let (now, locked) = tx.lock_runs(&[(tenant, next)]).await?;
            let admitted = match locked.first() {
                Some(Locked::Run(next)) => next.admit(now),
                // Its row is busy: the message comes again.
                _ => Err(Error::unavailable("the next run is busy", next)),
            };
            match admitted {
                Ok(admitted) => {
                    tx.save(std::slice::from_ref(&admitted)).await?;
                    tx.commit().await?;
                    effects::tell(&self.wake, std::slice::from_ref(&admitted));
                    return Ok(());
                }
                Err(error) if error.retryable() => return Err(error),
                // It ended in this moment; look for another.
                Err(_) => drop(tx),
            }
        }
    }
}
