//! The store on SQLite, for development, tests and small installations.
//!
//! One connection writes and the others read what is committed. A write transaction holds the
//! database's only write lock (`BEGIN IMMEDIATE`), so every run is locked by whoever writes, none is
//! ever busy, and rows can be written one by one: they go no further than this process.

mod agents;
mod allowances;
mod artifacts;
mod caps;
mod clock;
mod inbox;
mod interrupts;
mod journal;
mod keys;
mod lock;
mod outbox;
mod pools;
mod queue;
mod row;
mod runs;
mod save;
mod tenants;
mod turns;
mod tx;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};
use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::allowance::Standing;
use tenure_core::queue::Capped;
use tenure_core::run::InboxItem;
use tenure_core::{
    AgentId, Digest, Entry, Interrupt, InterruptId, Name, Payload, RunId, TenantId, Timestamp,
};
use tokio::sync::{Mutex, broadcast};

use crate::heard::Heard;
use crate::{
    ArtifactRow, FullRun, HeardNow, Hint, InterruptFilter, Known, Result, RunFilter, Store,
    StoreError, Tx,
};

const READERS: u32 = 8;
/// What its clock counts in.
const RESOLUTION: Duration = Duration::from_millis(1);
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A caller that waited this long for a connection is better told so.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The store on SQLite.
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Never sends: no other process may have the database open.
    hints: broadcast::Sender<Hint>,
    heard: Heard,
    /// What the database must not outlive.
    _guard: Guard,
}

/// What keeps the database for this store while it lives.
enum Guard {
    /// The lock against other processes.
    File { _lock: lock::FileLock },
    /// A database in memory is gone with its last connection; a pool closes the ones that broke.
    Memory { _anchor: Mutex<SqliteConnection> },
}

impl SqliteStore {
    /// Opens the file that `url` names (`sqlite:PATH`), or a new database in memory
    /// (`sqlite::memory:`), and brings its schema up to date.
    ///
    /// A database in memory has one connection for reads and writes alike: a read waits until an
    /// open transaction has ended.
    pub async fn open(url: &str) -> Result<Self> {
        let options = url.parse::<SqliteConnectOptions>()?.foreign_keys(true);
        let options = options.busy_timeout(BUSY_TIMEOUT);
        if is_memory(url) { Self::in_memory(options).await } else { Self::on_file(options).await }
    }

    async fn in_memory(options: SqliteConnectOptions) -> Result<Self> {
        let anchor = Mutex::new(options.connect().await?);
        let pool = pool(1, options).await?;
        Self::start(pool.clone(), pool, Guard::Memory { _anchor: anchor }).await
    }

    async fn on_file(options: SqliteConnectOptions) -> Result<Self> {
        let path = options.get_filename().to_owned();
        create_parent(&path)?;
        let lock = lock::FileLock::take(&path)?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL may lose the last commits with the power, and they were acknowledged.
            .synchronous(SqliteSynchronous::Full);
        // The writer first: it creates the file, which readers cannot.
        let writer = pool(1, options.clone()).await?;
        let readers = pool(READERS, options.pragma("query_only", "ON")).await?;
        Self::start(writer, readers, Guard::File { _lock: lock }).await
    }

    async fn start(writer: SqlitePool, readers: SqlitePool, guard: Guard) -> Result<Self> {
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;
        let (hints, _) = broadcast::channel(1);
        Ok(Self { writer, readers, hints, heard: Heard::new(RESOLUTION), _guard: guard })
    }
}

fn is_memory(url: &str) -> bool {
    url.contains(":memory:") || url.contains("mode=memory")
}

/// Connections that stay open: making one is not free, and there is nothing to balance.
async fn pool(connections: u32, options: SqliteConnectOptions) -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None);
    Ok(pool.connect_with(options).await?)
}

fn create_parent(path: &Path) -> Result<()> {
    let parent = path.parent().map(PathBuf::from).unwrap_or_default();
    if parent.as_os_str().is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(&parent).map_err(|error| StoreError::File {
        problem: format!("its directory cannot be created: {error}"),
        path: path.into(),
    })
}

/// Every statement that this back end runs, by name.
pub fn statements() -> Vec<(&'static str, &'static str)> {
    let all = [
        clock::STATEMENTS,
        tenants::STATEMENTS,
        allowances::STATEMENTS,
        agents::STATEMENTS,
        runs::STATEMENTS,
        keys::STATEMENTS,
        queue::STATEMENTS,
        caps::STATEMENTS,
        pools::STATEMENTS,
        turns::STATEMENTS,
        save::STATEMENTS,
        journal::STATEMENTS,
        inbox::STATEMENTS,
        interrupts::STATEMENTS,
        outbox::STATEMENTS,
        artifacts::STATEMENTS,
    ];
    all.concat().into_iter().map(|sql| (crate::statement_name(sql), sql)).collect()
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin(&self) -> Result<Box<dyn Tx>> {
        Ok(Box::new(tx::SqliteTx::new(self.writer.begin_with("BEGIN IMMEDIATE").await?)))
    }

    fn lanes(&self) -> usize {
        1
    }

    async fn now(&self) -> Result<Timestamp> {
        let asked = Instant::now();
        let now = clock::now(&self.readers).await?;
        self.heard.hear(now, asked);
        Ok(now)
    }

    fn heard_now(&self) -> Option<HeardNow> {
        self.heard.now()
    }

    async fn save_known(&self, known: &Known) -> Result<bool> {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let saved = save::save_known(&mut tx, known, &self.heard).await?;
        if saved {
            tx.commit().await?;
        }
        Ok(saved)
    }

    async fn set_clock(&self, at: Option<Timestamp>) -> Result<()> {
        clock::set(&self.writer, at).await?;
        self.heard.set(at);
        Ok(())
    }

    async fn find_tenant(&self, name: &Name) -> Result<Option<Tenant>> {
        tenants::find(&self.readers, name).await
    }

    async fn list_tenants(&self, after: Option<&Name>, limit: usize) -> Result<Vec<Tenant>> {
        tenants::list(&self.readers, after, limit).await
    }

    async fn list_standings(&self, tenant: TenantId) -> Result<(Timestamp, Vec<Standing>)> {
        let now = clock::now(&self.readers).await?;
        Ok((now, allowances::standings(&self.readers, tenant, None, now).await?))
    }

    async fn find_agent(&self, tenant: TenantId, name: &Name) -> Result<Option<Agent>> {
        agents::find(&self.readers, tenant, name).await
    }

    async fn get_agent(&self, tenant: TenantId, agent: AgentId) -> Result<Option<Agent>> {
        agents::get(&self.readers, tenant, agent).await
    }

    async fn list_agents(
        &self,
        tenant: TenantId,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<Agent>> {
        agents::list(&self.readers, tenant, after, limit).await
    }

    async fn find_version(
        &self,
        tenant: TenantId,
        agent: AgentId,
        number: u32,
    ) -> Result<Option<Version>> {
        agents::find_version(&self.readers, tenant, agent, number).await
    }

    async fn find_spec(&self, tenant: TenantId, digest: &Digest) -> Result<Option<Version>> {
        agents::find_spec(&self.readers, tenant, digest).await
    }

    async fn list_versions(
        &self,
        tenant: TenantId,
        agent: AgentId,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Version>> {
        agents::list_versions(&self.readers, tenant, agent, before, limit).await
    }

    async fn list_aliases(&self, tenant: TenantId, agent: AgentId) -> Result<Vec<Alias>> {
        agents::list_aliases(&self.readers, tenant, agent).await
    }

    async fn find_run(&self, tenant: TenantId, run: RunId) -> Result<Option<FullRun>> {
        runs::find(&self.readers, tenant, run).await
    }

    async fn read_inputs(&self, runs: &[(TenantId, RunId)]) -> Result<Vec<Option<Payload>>> {
        runs::read_inputs(&self.readers, runs).await
    }

    async fn list_runs(
        &self,
        tenant: TenantId,
        filter: &RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<FullRun>> {
        runs::list(&self.readers, tenant, filter, before, limit).await
    }

    async fn read_journal(
        &self,
        tenant: TenantId,
        run: RunId,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>> {
        journal::read(&self.readers, tenant, run, after, limit, max_bytes).await
    }

    async fn find_interrupt(&self, tenant: TenantId, id: InterruptId) -> Result<Option<Interrupt>> {
        interrupts::find(&self.readers, tenant, id).await
    }

    async fn list_interrupts(
        &self,
        tenant: TenantId,
        filter: &InterruptFilter,
        after: Option<(Timestamp, InterruptId)>,
        limit: usize,
    ) -> Result<Vec<Interrupt>> {
        interrupts::list(&self.readers, tenant, filter, after, limit).await
    }

    async fn polled_at(&self, tenant: TenantId, pool: &Name) -> Result<Option<Timestamp>> {
        pools::polled_at(&self.readers, tenant, pool).await
    }

    async fn count_running(&self, of: Capped) -> Result<u64> {
        caps::count(&self.readers, of).await
    }

    async fn count_ahead(&self, tenant: TenantId, run: RunId, limit: usize) -> Result<u64> {
        queue::count_ahead(&self.readers, tenant, run, limit).await
    }

    async fn find_turn(&self, tenant: TenantId, key: &str) -> Result<Option<RunId>> {
        turns::find(&self.readers, tenant, key).await
    }

    async fn read_inbox(
        &self,
        tenant: TenantId,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<InboxItem>> {
        inbox::read(&self.readers, tenant, run, after, limit).await
    }

    async fn list_artifacts(&self, tenant: TenantId, run: RunId) -> Result<Vec<ArtifactRow>> {
        artifacts::list(&self.readers, tenant, run).await
    }

    async fn find_artifact(
        &self,
        tenant: TenantId,
        run: RunId,
        name: &str,
    ) -> Result<Option<Artifact>> {
        artifacts::find(&self.readers, tenant, run, name).await
    }

    async fn announce(&self, _hints: &[Hint]) -> Result<()> {
        Ok(())
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.hints.subscribe()
    }
}
