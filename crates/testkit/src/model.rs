//! An in-memory store: the contract in its simplest form, to compare the real ones with.
//!
//! A transaction is a copy of everything; committing puts the copy in the original's place. Only
//! one is open at a time, so no run is ever busy. The clock stands still until it is set.

mod allowances;
mod queue;
mod records;
mod state;
mod tx;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::allowance::Standing;
use tenure_core::queue::Capped;
use tenure_core::run::{InboxItem, RunState};
use tenure_core::{
    AgentId, Digest, Entry, Interrupt, InterruptId, Name, Payload, Run, RunId, TenantId, Timestamp,
};
use tenure_store::{
    ArtifactRow, FullRun, HeardNow, Hint, InterruptFilter, Known, Result, RunFilter, Store, Tx,
};
use tokio::sync::broadcast;

use state::State;

/// The in-memory store.
pub struct Model {
    state: Arc<Mutex<State>>,
    writer: Arc<tokio::sync::Mutex<()>>,
    hints: broadcast::Sender<Hint>,
}

impl Default for Model {
    fn default() -> Self {
        let (hints, _) = broadcast::channel(1);
        Self { state: Arc::default(), writer: Arc::default(), hints }
    }
}

impl Model {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A thread that panicked has changed nothing: what is shared is only ever replaced as a whole.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Store for Model {
    async fn begin(&self) -> Result<Box<dyn Tx>> {
        let turn = Arc::clone(&self.writer).lock_owned().await;
        let copy = self.state().clone();
        Ok(Box::new(tx::ModelTx::new(copy, Arc::clone(&self.state), turn)))
    }

    fn lanes(&self) -> usize {
        1
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.state().now)
    }

    fn heard_now(&self) -> Option<HeardNow> {
        let now = self.state().now;
        Some(HeardNow { earliest: now, latest: now })
    }

    async fn save_known(&self, known: &Known) -> Result<bool> {
        let _turn = self.writer.lock().await;
        let mut shared = self.state();
        let saved = shared.save_known(known);
        if let Some(state) = saved {
            *shared = state;
            return Ok(true);
        }
        Ok(false)
    }

    async fn set_clock(&self, at: Option<Timestamp>) -> Result<()> {
        self.state().now = at.unwrap_or_default();
        Ok(())
    }

    async fn find_tenant(&self, name: &Name) -> Result<Option<Tenant>> {
        let state = self.state();
        let found = state.tenants.values().find(|tenant| tenant.name == *name);
        Ok(found.map(|tenant| state.metered(tenant)))
    }

    async fn list_tenants(&self, after: Option<&Name>, limit: usize) -> Result<Vec<Tenant>> {
        let state = self.state();
        let mut found: Vec<_> =
            state.tenants.values().map(|tenant| state.metered(tenant)).collect();
        found.retain(|tenant| after.is_none_or(|after| tenant.name > *after));
        found.sort_by(|one, two| one.name.cmp(&two.name));
        found.truncate(limit);
        Ok(found)
    }

    async fn list_standings(&self, tenant: TenantId) -> Result<(Timestamp, Vec<Standing>)> {
        let state = self.state();
        Ok((state.now, state.standings(tenant)))
    }

    async fn find_agent(&self, tenant: TenantId, name: &Name) -> Result<Option<Agent>> {
        Ok(self.state().agent(tenant, name))
    }

    async fn get_agent(&self, tenant: TenantId, agent: AgentId) -> Result<Option<Agent>> {
        Ok(self.state().agents.get(&(tenant, agent)).cloned())
    }

    async fn list_agents(
        &self,
        tenant: TenantId,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<Agent>> {
        let mut found: Vec<_> = self.state().agents.values().cloned().collect();
        found.retain(|agent| agent.tenant == tenant);
        found.retain(|agent| after.is_none_or(|after| agent.name > *after));
        found.sort_by(|one, two| one.name.cmp(&two.name));
        found.truncate(limit);
        Ok(found)
    }

    async fn find_version(
        &self,
        tenant: TenantId,
        agent: AgentId,
        number: u32,
    ) -> Result<Option<Version>> {
        Ok(self.state().versions.get(&(tenant, agent, number)).cloned())
    }

    async fn find_spec(&self, tenant: TenantId, digest: &Digest) -> Result<Option<Version>> {
        let state = self.state();
        let mut versions = state.versions.iter();
        let found = versions.find(|((of, ..), version)| *of == tenant && version.digest == *digest);
        Ok(found.map(|(_, version)| version.clone()))
    }

    async fn list_versions(
        &self,
        tenant: TenantId,
        agent: AgentId,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Version>> {
        let state = self.state();
        let from = (tenant, agent, 0);
        let to = (tenant, agent, before.unwrap_or(u32::MAX));
        let found = state.versions.range(from..to).rev().take(limit);
        Ok(found.map(|(_, version)| version.clone()).collect())
    }

    async fn list_aliases(&self, tenant: TenantId, agent: AgentId) -> Result<Vec<Alias>> {
        let state = self.state();
        let of_agent =
            state.aliases.iter().filter(|((of, on, _), _)| (*of, *on) == (tenant, agent));
        Ok(of_agent.map(|(_, alias)| alias.clone()).collect())
    }

    async fn find_run(&self, tenant: TenantId, run: RunId) -> Result<Option<FullRun>> {
        Ok(self.state().full_run(tenant, run))
    }

    async fn read_inputs(&self, runs: &[(TenantId, RunId)]) -> Result<Vec<Option<Payload>>> {
        Ok(runs.iter().map(|run| self.state().input(*run)).collect())
    }

    async fn list_runs(
        &self,
        tenant: TenantId,
        filter: &RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<FullRun>> {
        let state = self.state();
        let newest_first = state.runs.keys().rev().filter(|(of, _)| *of == tenant);
        let mut found: Vec<_> =
            newest_first.filter_map(|(of, run)| state.full_run(*of, *run)).collect();
        found.retain(|full| before.is_none_or(|before| full.run.id < before));
        found.retain(|full| passes(filter, full));
        found.truncate(limit);
        found.iter_mut().for_each(empty);
        Ok(found)
    }

    async fn read_journal(
        &self,
        tenant: TenantId,
        run: RunId,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>> {
        let mut page = self.state().entries(tenant, run);
        page.retain(|entry| entry.seq > after);
        page.truncate(limit);
        let mut bytes = 0;
        page.retain(|entry| {
            let fits = bytes <= max_bytes;
            bytes += entry.record.status.size();
            fits
        });
        Ok(page)
    }

    async fn find_interrupt(&self, tenant: TenantId, id: InterruptId) -> Result<Option<Interrupt>> {
        Ok(self.state().interrupts.get(&(tenant, id)).cloned())
    }

    async fn list_interrupts(
        &self,
        tenant: TenantId,
        filter: &InterruptFilter,
        after: Option<(Timestamp, InterruptId)>,
        limit: usize,
    ) -> Result<Vec<Interrupt>> {
        let mut found = self.state().list_interrupts(tenant, filter, after);
        found.truncate(limit);
        Ok(found)
    }

    async fn polled_at(&self, tenant: TenantId, pool: &Name) -> Result<Option<Timestamp>> {
        Ok(self.state().polls.get(&(tenant, pool.clone())).copied())
    }

    async fn count_running(&self, of: Capped) -> Result<u64> {
        Ok(self.state().count_running(of))
    }

    async fn count_ahead(&self, tenant: TenantId, run: RunId, limit: usize) -> Result<u64> {
        Ok(self.state().count_ahead(tenant, run).min(limit) as u64)
    }

    async fn find_turn(&self, tenant: TenantId, key: &str) -> Result<Option<RunId>> {
        Ok(self.state().turns.get(&(tenant, key.to_owned())).copied())
    }

    async fn read_inbox(
        &self,
        tenant: TenantId,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<InboxItem>> {
        let mut page = self.state().items(tenant, run);
        page.retain(|item| item.number > after);
        page.truncate(limit);
        Ok(page)
    }

    async fn list_artifacts(&self, tenant: TenantId, run: RunId) -> Result<Vec<ArtifactRow>> {
        let state = self.state();
        let of_run = state.artifacts.iter().filter(|((of, by, _), _)| (*of, *by) == (tenant, run));
        let row = |artifact: &Artifact| ArtifactRow {
            size: artifact.data.len() as u64,
            artifact: Artifact { data: Bytes::new(), ..artifact.clone() },
        };
        Ok(of_run.map(|(_, artifact)| row(artifact)).collect())
    }

    async fn find_artifact(
        &self,
        tenant: TenantId,
        run: RunId,
        name: &str,
    ) -> Result<Option<Artifact>> {
        Ok(self.state().artifacts.get(&(tenant, run, name.to_owned())).cloned())
    }

    async fn announce(&self, _hints: &[Hint]) -> Result<()> {
        Ok(())
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.hints.subscribe()
    }
}

fn passes(filter: &RunFilter, full: &FullRun) -> bool {
    let run = &full.run;
    run.check.is_none()
        && filter.agent.is_none_or(|agent| agent == run.agent)
        && (filter.states.is_empty() || filter.states.contains(&run.state.name()))
        && filter.failure_code.as_deref().is_none_or(|code| failed_with(run) == Some(code))
        && filter.parent.is_none_or(|of| run.parent.as_ref().is_some_and(|by| by.run == of))
        && filter.concurrency.as_ref().is_none_or(|key| run.concurrency.as_ref() == Some(key))
}

fn failed_with(run: &Run) -> Option<&str> {
    match &run.state {
        RunState::Failed { failure, .. } => Some(&failure.code),
        _ => None,
    }
}

fn empty(full: &mut FullRun) {
    full.input = Payload::default();
    if let RunState::Succeeded { output, .. } = &mut full.run.state {
        *output = Payload::default();
    }
}
