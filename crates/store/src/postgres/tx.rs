//! The write transaction: which statement belongs to which method.

use async_trait::async_trait;
use sqlx::{Postgres, Transaction};
use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::{AgentId, Digest, Name, Run, RunId, TenantId, Timestamp, Transition};

use super::{agents, artifacts, clock, inbox, queue, runs, save, tenants};
use crate::{Locked, Result, RunKey, StoreError, Tx};

/// A write transaction.
pub(super) struct PgTx {
    tx: Transaction<'static, Postgres>,
    /// Whether a method failed: what it left behind must not be committed, and PostgreSQL answers
    /// the COMMIT of a failed transaction with a silent rollback.
    failed: bool,
}

impl PgTx {
    pub(super) fn new(tx: Transaction<'static, Postgres>) -> Self {
        Self { tx, failed: false }
    }

    fn note<T>(&mut self, answer: Result<T>) -> Result<T> {
        self.failed |= answer.is_err();
        answer
    }
}

#[async_trait]
impl Tx for PgTx {
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
        let answer = runs::reserve_keys(&mut self.tx, keys).await;
        self.note(answer)
    }

    async fn lock_runs(&mut self, runs: &[(TenantId, RunId)]) -> Result<(Timestamp, Vec<Locked>)> {
        let answer = runs::lock(&mut self.tx, runs).await;
        self.note(answer)
    }

    async fn lock_ready(
        &mut self,
        tenant: TenantId,
        pools: &[Name],
        limit: usize,
    ) -> Result<(Timestamp, Vec<Run>)> {
        let answer = queue::lock_ready(&mut self.tx, tenant, pools, limit).await;
        self.note(answer)
    }

    async fn lock_expired(&mut self, limit: usize) -> Result<(Timestamp, Vec<Run>)> {
        let answer = runs::lock_expired(&mut self.tx, limit).await;
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
