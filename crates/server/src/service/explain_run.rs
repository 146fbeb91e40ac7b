//! Explain: why a run is where it is.

use tenure_core::queue::{Cap, Capped};
use tenure_core::run::WaitReason;
use tenure_core::why::{Facts, Why};
use tenure_core::{Interrupt, Name, Result, Run, RunId, RunState, limits};
use tenure_store::InterruptFilter;

use super::Service;

impl Service {
    /// Why a run is where it is, in a sentence.
    pub async fn explain_run(&self, tenant: &Name, run: RunId) -> Result<Why> {
        let id = self.tenant_id(tenant).await?;
        let full = self.full_run(id, run).await?;
        let facts = self.facts(tenant, &full.run, full.agent).await?;
        Ok(full.run.explain(&facts))
    }

    async fn facts(&self, tenant: &Name, run: &Run, agent: Name) -> Result<Facts> {
        let store = &*self.store;
        let queued = run.ready_at().is_some();
        let (mut polled_at, mut ahead) = (None, 0);
        if queued {
            polled_at = store.polled_at(run.tenant, &run.pool).await?;
            let limit = usize::try_from(limits::COUNT).unwrap_or(usize::MAX);
            ahead = store.count_ahead(run.tenant, run.id, limit).await?;
        }
        let tenant_limit = self.get_tenant(tenant).await?.max_running;
        let agent_limit = self.agent(run.tenant, &agent).await?.max_running;
        let of_agent = (run.tenant, Some(run.agent));
        Ok(Facts {
            now: store.now().await?,
            polled_at,
            tenant_cap: self.cap((run.tenant, None), tenant_limit, queued).await?,
            agent_cap: self.cap(of_agent, agent_limit, queued).await?,
            agent,
            ahead,
            turn: self.turn(run).await?,
            interrupts: self.open_interrupts(run).await?,
        })
    }

    async fn cap(&self, of: Capped, limit: Option<u32>, queued: bool) -> Result<Option<Cap>> {
        match limit {
            Some(limit) if queued => {
                Ok(Some(Cap { limit, running: self.store.count_running(of).await? }))
            }
            Some(_) | None => Ok(None),
        }
    }

    async fn turn(&self, run: &Run) -> Result<Option<RunId>> {
        match (&run.state, &run.concurrency) {
            (RunState::Waiting { reason: WaitReason::Turn }, Some(key)) => {
                Ok(self.store.find_turn(run.tenant, key).await?)
            }
            _ => Ok(None),
        }
    }

    async fn open_interrupts(&self, run: &Run) -> Result<Vec<Interrupt>> {
        if run.interrupts == 0 {
            return Ok(Vec::new());
        }
        let filter = InterruptFilter { run: Some(run.id), ..InterruptFilter::default() };
        Ok(self.store.list_interrupts(run.tenant, &filter, None, limits::PAGE).await?)
    }
}
