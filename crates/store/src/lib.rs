//! The storage contract of Tenure and its two implementations.
//!
//! Storage *finds, locks, saves and lists*; the rules are in [`tenure_core`]. A [`Store`] answers
//! reads; a [`Tx`] is one write transaction, in which the caller locks runs, lets the rules decide,
//! and saves the [`Transition`]s that they answered with. All of it is committed, or nothing.
//!
//! [`postgres`] and [`sqlite`] hold the same files with the same functions in the same order, each
//! in its own plain SQL, so that comparing two files shows only the dialect. What keeps them equal:
//! one conformance suite, and one differential test that drives both and an in-memory model with
//! the same random commands.
//!
//! # How to add a method
//!
//! 1. Write it here, with its meaning, its errors and who calls it.
//! 2. Write the statement in `postgres/` and `sqlite/`, in the file of its table.
//! 3. Give it a case in `tests/conformance.rs`, and an operation in the model of the testkit.
//! 4. If it needs a column, add a migration with the same number to both folders: first a release
//!    that can live with and without it (expand), later one that relies on it (contract).
#![warn(missing_docs)]

mod columns;
mod error;
mod hint;
pub mod postgres;
mod rows;
pub mod sqlite;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
pub use error::{Result, StoreError};
pub use hint::Hint;
use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::run::InboxItem;
use tenure_core::{
    AgentId, Digest, Entry, Name, Payload, Run, RunId, StateName, TenantId, Timestamp, Transition,
};
use tokio::sync::broadcast;

/// A database that holds Tenure's state. Cheap to share; every method may be called at any time.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Starts a write transaction.
    async fn begin(&self) -> Result<Box<dyn Tx>>;

    /// How many write transactions may usefully be open at once: 1 for SQLite.
    fn lanes(&self) -> usize;

    /// The database's clock, the only one that decides (DB-TIME). Also a check that it answers.
    async fn now(&self) -> Result<Timestamp>;

    /// Sets the database's clock to stand still at a moment, or back to the real time. For tests.
    async fn set_clock(&self, at: Option<Timestamp>) -> Result<()>;

    /// The tenant with this name.
    async fn find_tenant(&self, name: &Name) -> Result<Option<Tenant>>;

    /// Up to `limit` tenants by name, after `after`.
    async fn list_tenants(&self, after: Option<&Name>, limit: usize) -> Result<Vec<Tenant>>;

    /// The agent with this name.
    async fn find_agent(&self, tenant: TenantId, name: &Name) -> Result<Option<Agent>>;

    /// The agent with this id.
    async fn get_agent(&self, tenant: TenantId, agent: AgentId) -> Result<Option<Agent>>;

    /// Up to `limit` agents by name, after `after`.
    async fn list_agents(
        &self,
        tenant: TenantId,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<Agent>>;

    /// One version of an agent.
    async fn find_version(
        &self,
        tenant: TenantId,
        agent: AgentId,
        number: u32,
    ) -> Result<Option<Version>>;

    /// Any version of the tenant with this content.
    async fn find_spec(&self, tenant: TenantId, digest: &Digest) -> Result<Option<Version>>;

    /// Up to `limit` versions of an agent with numbers below `before`, newest first.
    async fn list_versions(
        &self,
        tenant: TenantId,
        agent: AgentId,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Version>>;

    /// The aliases of an agent, by name.
    async fn list_aliases(&self, tenant: TenantId, agent: AgentId) -> Result<Vec<Alias>>;

    /// A run with everything about it.
    async fn find_run(&self, tenant: TenantId, run: RunId) -> Result<Option<FullRun>>;

    /// Up to `limit` runs that pass the filter with ids below `before`, newest first. Inputs and
    /// outputs are left empty.
    async fn list_runs(
        &self,
        tenant: TenantId,
        filter: &RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<FullRun>>;

    /// Entries of a journal after `after`, in order: up to `limit`, and no more than it takes to
    /// pass `max_bytes` of payload. An unknown run has no entries.
    async fn read_journal(
        &self,
        tenant: TenantId,
        run: RunId,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>>;

    /// Up to `limit` inbox items after `after`, in order.
    async fn read_inbox(
        &self,
        tenant: TenantId,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<InboxItem>>;

    /// The artifacts of a run by name, with empty data.
    async fn list_artifacts(&self, tenant: TenantId, run: RunId) -> Result<Vec<ArtifactRow>>;

    /// One artifact with its bytes.
    async fn find_artifact(
        &self,
        tenant: TenantId,
        run: RunId,
        name: &str,
    ) -> Result<Option<Artifact>>;

    /// Tells other processes on this database what may have changed. A hint: it may be lost, and it
    /// is never sent inside a business transaction. Nothing to do where only one process may open
    /// the database.
    async fn announce(&self, hints: &[Hint]) -> Result<()>;

    /// What other processes announced, from now on. A receiver that lags has to look for itself.
    fn hints(&self) -> broadcast::Receiver<Hint>;
}

/// One write transaction. Dropped without [`commit`](Tx::commit), it has no effect.
///
/// Lock order: run rows first, in the order that the statement gets them, never waiting for a
/// second one ([`lock_runs`](Tx::lock_runs) skips rows that are busy), so there is no cycle.
#[async_trait]
pub trait Tx: Send {
    /// The database's clock.
    async fn now(&mut self) -> Result<Timestamp>;

    /// Adds a tenant; false if the name is taken.
    async fn insert_tenant(&mut self, tenant: &Tenant) -> Result<bool>;

    /// Adds an agent; false if the name is taken in its tenant.
    async fn insert_agent(&mut self, agent: &Agent) -> Result<bool>;

    /// The agent with this name, locked: nobody else publishes a version meanwhile.
    async fn lock_agent(&mut self, tenant: TenantId, name: &Name) -> Result<Option<Agent>>;

    /// The version of an agent with this content.
    async fn find_version_by_digest(
        &mut self,
        tenant: TenantId,
        agent: AgentId,
        digest: &Digest,
    ) -> Result<Option<Version>>;

    /// Adds a version of a locked agent and makes it the newest.
    async fn insert_version(&mut self, tenant: TenantId, version: &Version) -> Result<()>;

    /// Sets an alias, new or not.
    async fn set_alias(&mut self, tenant: TenantId, alias: &Alias) -> Result<()>;

    /// Reserves idempotency keys for runs that are about to be created. For each, in order: `None`
    /// if the key is now this run's, or what it was reserved for before.
    async fn reserve_keys(&mut self, keys: &[RunKey]) -> Result<Vec<Option<RunKey>>>;

    /// Locks runs and reads them, together with the time. For each, in order, what was found.
    /// A run that is asked for twice is answered twice.
    async fn lock_runs(&mut self, runs: &[(TenantId, RunId)]) -> Result<(Timestamp, Vec<Locked>)>;

    /// Locks up to `limit` runs of these pools that are ready, the longest ready first, passing
    /// over what others are just claiming and, loudly, rows that cannot be read.
    async fn lock_ready(
        &mut self,
        tenant: TenantId,
        pools: &[Name],
        limit: usize,
    ) -> Result<(Timestamp, Vec<Run>)>;

    /// Locks up to `limit` running runs whose lease has expired or whose cancel is to be forced,
    /// of all tenants. A row that cannot be read is logged and passed over.
    async fn lock_expired(&mut self, limit: usize) -> Result<(Timestamp, Vec<Run>)>;

    /// Which of these `(tenant, run, source)` are in the run's inbox already, in order. The runs
    /// must be locked.
    async fn inbox_sources(&mut self, sources: &[(TenantId, RunId, String)]) -> Result<Vec<bool>>;

    /// Saves transitions of different runs: rows, journals, inboxes and queue. Every run must have
    /// the revision its transition started from, else nothing is saved
    /// ([`StoreError::Conflict`]).
    async fn save(&mut self, transitions: &[Transition]) -> Result<()>;

    /// Adds an artifact of a locked run; if the name is taken, what has it.
    async fn put_artifact(
        &mut self,
        tenant: TenantId,
        artifact: &Artifact,
    ) -> Result<Option<Artifact>>;

    /// Makes all of it durable. Acknowledge nothing before this has returned.
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// A run with what its narrow row leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullRun {
    /// The row.
    pub run: Run,
    /// The agent's name.
    pub agent: Name,
    /// What it was given.
    pub input: Payload,
    /// Words to find it by.
    pub labels: BTreeMap<String, String>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only runs of this agent.
    pub agent: Option<AgentId>,
    /// Only runs in one of these states; empty for all.
    pub states: Vec<StateName>,
}

/// An artifact in a list: everything but its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRow {
    /// The artifact, with empty data.
    pub artifact: Artifact,
    /// How many bytes it has.
    pub size: u64,
}

/// An idempotency key, what was asked under it, and the run that it led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunKey {
    /// The tenant that the key is unique in.
    pub tenant: TenantId,
    /// The key.
    pub key: String,
    /// Digest of the request: another one under the same key is a conflict.
    pub digest: Digest,
    /// The run.
    pub run: RunId,
}

/// What [`Tx::lock_runs`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locked {
    /// The run, locked until the transaction ends.
    Run(Arc<Run>),
    /// Somebody else has it locked; try again in another transaction.
    Busy,
    /// There is none.
    Missing,
}

/// Opens the store that a URL names: `postgres://…` or `sqlite:PATH` (`sqlite::memory:` for one that
/// ends with the process), and brings its schema up to date.
pub async fn open(url: &str) -> Result<Arc<dyn Store>> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(postgres::PgStore::open(url).await?)),
        Some(("sqlite", _)) => Ok(Arc::new(sqlite::SqliteStore::open(url).await?)),
        _ => Err(StoreError::Url),
    }
}

/// The name of a statement: what its first line says behind `-- `.
fn statement_name(sql: &'static str) -> &'static str {
    sql.trim_start().lines().next().and_then(|line| line.strip_prefix("-- ")).unwrap_or_default()
}
