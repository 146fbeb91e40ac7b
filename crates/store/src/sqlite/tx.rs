//! The write transaction: which statement belongs to which method.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};
use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::allowance::{Allowance, Hold, Standing};
use tenure_core::queue::{Cap, Capped, Ready};
use tenure_core::{
    AgentId, Digest, Interrupt, InterruptId, Name, Run, RunId, TenantId, Timestamp, Transition,
};

use super::{
    agents, allowances, artifacts, caps, clock, inbox, interrupts, journal, keys, outbox, pools,
    queue, runs, save, tenants, turns,
};
use crate::{Locked, Posted, Prefix, Result, RunKey, StoreError, Turn, Tx};

/// A write transaction.
pub(super) struct SqliteTx {
    tx: Transaction<'static, Sqlite>,
    /// Whether a method failed: what it left behind must not be committed.
    failed: bool,
}

impl SqliteTx {
    pub(super) fn new(tx: Transaction<'static, Sqlite>) -> Self {
        Self { tx, failed: false }
    }

    fn note<T>(&mut self, answer: Result<T>) -> Result<T> {
        self.failed |= answer.is_err();
        answer
    }
}

#[async_trait]
impl Tx for SqliteTx {
    async fn now(&mut self) -> Result<Timestamp> {
        let answer = clock::now(&mut *self.tx).await;
        self.note(answer)
    }

    async fn insert_tenant(&mut self, tenant: &Tenant) -> Result<bool> {
        let answer = tenants::insert(&mut self.tx, tenant).await;
        self.note(answer)
    }

    async fn insert_agent(&mut self, agent: &Agent) -> Result<bool> {
        let answer = agents::insert(&mut self.tx, agent).await;
        self.note(answer)
    }

    async fn lock_agent(&mut self, tenant: TenantId, name: &Name) -> Result<Option<Agent>> {
        let answer = agents::lock(&mut self.tx, tenant, name).await;
        self.note(answer)
    }

    async fn find_version_by_digest(
        &mut self,
        tenant: TenantId,
        agent: AgentId,
        digest: &Digest,
    ) -> Result<Option<Version>> {
        let answer = agents::find_version_by_digest(&mut self.tx, tenant, agent, digest).await;
        self.note(answer)
    }

    async fn insert_version(&mut self, tenant: TenantId, version: &Version) -> Result<()> {
        let answer = agents::insert_version(&mut self.tx, tenant, version).await;
        self.note(answer)
    }

    async fn set_alias(&mut self, tenant: TenantId, alias: &Alias) -> Result<()> {
        let answer = agents::set_alias(&mut self.tx, tenant, alias).await;
        self.note(answer)
    }

    async fn reserve_keys(&mut self, keys: &[RunKey]) -> Result<Vec<Option<RunKey>>> {
        let answer = keys::reserve(&mut self.tx, keys).await;
        self.note(answer)
    }

    async fn lock_runs(&mut self, runs: &[(TenantId, RunId)]) -> Result<(Timestamp, Vec<Locked>)> {
        let answer = runs::lock(&mut self.tx, runs).await;
        self.note(answer)
    }

    async fn find_ready(
        &mut self,
        places: &[(TenantId, Name)],
        limit: usize,
    ) -> Result<Vec<Ready>> {
        let answer = queue::find_ready(&mut self.tx, places, limit).await;
        self.note(answer)
    }

    async fn lock_caps(&mut self, of: &[Capped]) -> Result<HashMap<Capped, Cap>> {
        let answer = caps::lock(&mut self.tx, of).await;
        self.note(answer)
    }

    async fn lock_ready(&mut self, runs: &[(TenantId, RunId)]) -> Result<(Timestamp, Vec<Run>)> {
        let answer = queue::lock_ready(&mut self.tx, runs).await;
        self.note(answer)
    }

    async fn lock_expired(&mut self, limit: usize) -> Result<(Timestamp, Vec<Run>)> {
        let answer = runs::lock_expired(&mut self.tx, limit).await;
        self.note(answer)
    }

    async fn lock_due(&mut self, limit: usize) -> Result<(Timestamp, Vec<(Run, Interrupt)>)> {
        let answer = interrupts::lock_due(&mut self.tx, limit).await;
        self.note(answer)
    }

    async fn read_interrupts(
        &mut self,
        ids: &[(TenantId, InterruptId)],
    ) -> Result<Vec<Option<Interrupt>>> {
        let answer = interrupts::read(&mut self.tx, ids).await;
        self.note(answer)
    }

    async fn inbox_sources(&mut self, sources: &[(TenantId, RunId, String)]) -> Result<Vec<bool>> {
        let answer = inbox::sources(&mut self.tx, sources).await;
        self.note(answer)
    }

    async fn save(&mut self, transitions: &[Transition]) -> Result<()> {
        let answer = save::save(&mut self.tx, transitions).await;
        self.note(answer)
    }

    async fn take_turns(&mut self, turns: &[Turn]) -> Result<Vec<RunId>> {
        let answer = turns::take(&mut self.tx, turns).await;
        self.note(answer)
    }

    async fn lock_turn(
        &mut self,
        tenant: TenantId,
        key: &str,
    ) -> Result<(Option<RunId>, Option<RunId>)> {
        let answer = turns::lock(&mut self.tx, tenant, key).await;
        self.note(answer)
    }

    async fn set_turn(&mut self, tenant: TenantId, key: &str, run: Option<RunId>) -> Result<()> {
        let answer = turns::set(&mut self.tx, tenant, key, run).await;
        self.note(answer)
    }

    async fn take_messages(&mut self, limit: usize, retry: Duration) -> Result<Vec<Posted>> {
        let answer = outbox::take(&mut self.tx, limit, retry).await;
        self.note(answer)
    }

    async fn drop_messages(&mut self, messages: &[(TenantId, RunId, u64)]) -> Result<()> {
        let answer = outbox::drop(&mut self.tx, messages).await;
        self.note(answer)
    }

    async fn copy_journal(
        &mut self,
        tenant: TenantId,
        from: RunId,
        to: RunId,
        prefix: &Prefix,
    ) -> Result<Option<u64>> {
        let answer = journal::copy(&mut self.tx, tenant, from, to, prefix).await;
        self.note(answer)
    }

    async fn note_polls(&mut self, places: &[(TenantId, Name)]) -> Result<()> {
        let answer = pools::note_polls(&mut self.tx, places).await;
        self.note(answer)
    }

    async fn set_cap(&mut self, of: Capped, max_running: Option<u32>) -> Result<bool> {
        let answer = caps::set(&mut self.tx, of, max_running).await;
        self.note(answer)
    }

    async fn set_policy(&mut self, tenant: TenantId, policy: Option<&str>) -> Result<bool> {
        let answer = tenants::set_policy(&mut self.tx, tenant, policy).await;
        self.note(answer)
    }

    async fn set_allowance(&mut self, allowance: &Allowance) -> Result<bool> {
        let answer = allowances::set(&mut self.tx, allowance).await;
        self.note(answer)
    }

    async fn lock_allowances(
        &mut self,
        tenant: TenantId,
        agent: AgentId,
    ) -> Result<(Timestamp, Vec<Standing>)> {
        let answer = allowances::lock(&mut self.tx, tenant, agent).await;
        self.note(answer)
    }

    async fn hold(&mut self, hold: &Hold, now: Timestamp) -> Result<()> {
        let answer = allowances::hold(&mut self.tx, hold, now).await;
        self.note(answer)
    }

    async fn put_artifact(
        &mut self,
        tenant: TenantId,
        artifact: &Artifact,
    ) -> Result<Option<Artifact>> {
        let answer = artifacts::put(&mut self.tx, tenant, artifact).await;
        self.note(answer)
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        if self.failed {
            return Err(StoreError::Conflict("a part of the transaction failed".into()));
        }
        Ok(self.tx.commit().await?)
    }
}
