//! Expire: leases whose time is up, cancels whose grace is over, runs whose deadline has passed.

use tenure_core::{Result, Transition};

use super::{Service, effects};

/// Runs in one sweep: a page that is full is followed by the next at once.
const PAGE: usize = 100;

impl Service {
    /// Expires what is due now; how many runs that was.
    pub async fn expire(&self) -> Result<usize> {
        let mut expired = 0;
        loop {
            let page = self.expire_page().await?;
            expired += page;
            if page < PAGE {
                return Ok(expired);
            }
        }
    }

    async fn expire_page(&self) -> Result<usize> {
        let mut tx = self.store.begin().await?;
        let (now, due) = tx.lock_expired(PAGE).await?;
        let transitions: Vec<Transition> = due.iter().filter_map(|run| run.expire(now)).collect();
        if transitions.is_empty() {
            return Ok(0);
        }
        tx.save(&transitions).await?;
        tx.commit().await?;
        for transition in &transitions {
            let (run, state) = (transition.run.id, transition.run.state.name());
            tracing::info!(%run, "{run} ran out of time and is {state}");
        }
        effects::tell(&self.wake, &transitions);
        Ok(transitions.len())
    }
}
