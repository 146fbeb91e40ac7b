//! The store on PostgreSQL, the one for production.
//!
//! A transaction locks runs with SKIP LOCKED and never waits for a second one, so transactions of
//! any number of control planes cannot block each other in a circle. Every statement is one for
//! many rows (`unnest`), and nothing is notified inside a transaction.

mod agents;
mod allowances;
mod artifacts;
mod caps;
mod clock;
mod hints;
mod inbox;
mod interrupts;
mod journal;
mod keys;
mod outbox;
mod pools;
mod queue;
mod row;
mod runs;
mod save;
mod statement;
mod tenants;
mod turns;
mod tx;
mod writers;

use std::num::NonZero;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::allowance::Standing;
use tenure_core::queue::Capped;
use tenure_core::run::InboxItem;
use tenure_core::{
    AgentId, Digest, Entry, Interrupt, InterruptId, Name, Payload, RunId, TenantId, Timestamp,
};
use tokio::sync::broadcast;

use crate::heard::Heard;
use crate::{
    ArtifactRow, FullRun, HeardNow, Hint, InterruptFilter, Known, Result, RunFilter, Store,
    StoreError, Tx,
};

/// Transactions at once that keep a server busy. With more of them each batch is smaller, and dearer
/// for each row, so a small machine has fewer (measured: docs/performance.md).
const LANES: usize = 4;
/// What its clock counts in.
const RESOLUTION: Duration = Duration::from_micros(1);
const CONNECTIONS: u32 = 16;
/// A caller that waited this long for a connection is better told so.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The store on PostgreSQL.
pub struct PgStore {
    pool: PgPool,
    writers: writers::Writers,
    heard: Heard,
    hints: hints::Hints,
}

impl PgStore {
    /// Connects to the database that `url` names and brings its schema up to date.
    pub async fn open(url: &str) -> Result<Self> {
        let options = url.parse::<PgConnectOptions>()?.application_name("tenure");
        migrate(&options).await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(guarded(options.clone()))
            .await?;
        let writers = writers::Writers::new(guarded(options.clone()));
        let hints = hints::Hints::listen(options).await?;
        Ok(Self { pool, writers, heard: Heard::new(RESOLUTION), hints })
    }
}

/// On a connection of its own without time limits: another process may be migrating, or the
/// migration may be a long one.
async fn migrate(options: &PgConnectOptions) -> Result<()> {
    let mut connection = PgConnection::connect_with(options).await?;
    // `run` would take anything that acquires a connection; through its generic bound the compiler
    // cannot see that the future may be sent to another thread.
    sqlx::migrate!("migrations/postgres").run_direct(None, &mut connection, false).await?;
    connection.close().await?;
    Ok(())
}

/// The settings that promises and figures rest on, whatever the server's or the role's are.
fn guarded(options: PgConnectOptions) -> PgConnectOptions {
    options.options([
        // ACKED-RUNS: `off` loses acknowledged commits in a crash.
        ("synchronous_commit", "on"),
        // A client that hangs must not keep its rows locked, nor dead rows from being cleaned.
        ("idle_in_transaction_session_timeout", "10s"),
        ("lock_timeout", "2s"),
        ("statement_timeout", "30s"),
        // Statements planned for any parameters look dear enough to be compiled, which takes 100 ms
        // where executing them takes 1 (measured with `find_ready`).
        ("jit", "off"),
    ])
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
        journal::STATEMENTS,
        inbox::STATEMENTS,
        interrupts::STATEMENTS,
        outbox::STATEMENTS,
        artifacts::STATEMENTS,
        hints::STATEMENTS,
    ];
    let all = all.concat().into_iter().chain(statement::parts());
    all.map(|sql| (crate::statement_name(sql), sql)).collect()
}

#[async_trait]
impl Store for PgStore {
    async fn begin(&self) -> Result<Box<dyn Tx>> {
        Ok(Box::new(tx::PgTx::new(self.pool.begin().await?)))
    }

    fn lanes(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        (processors / 2).clamp(1, LANES)
    }

    async fn now(&self) -> Result<Timestamp> {
        let asked = Instant::now();
        let now = clock::now(&self.pool).await?;
        self.heard.hear(now, asked);
        Ok(now)
    }

    fn heard_now(&self) -> Option<HeardNow> {
        self.heard.now()
    }

    async fn save_known(&self, known: &Known) -> Result<bool> {
        let mut connection = self.writers.take().await?;
        let saved = save::save_known(&mut connection, known, &self.heard).await;
        match &saved {
            Ok(_) => self.writers.give_back(connection),
            Err(StoreError::Unavailable(_)) => self.writers.reset(),
            Err(_) => {}
        }
        saved
    }

    async fn set_clock(&self, at: Option<Timestamp>) -> Result<()> {
        clock::set(&self.pool, at).await?;
        self.heard.set(at);
        Ok(())
    }

    async fn find_tenant(&self, name: &Name) -> Result<Option<Tenant>> {
        tenants::find(&self.pool, name).await
    }

    async fn list_tenants(&self, after: Option<&Name>, limit: usize) -> Result<Vec<Tenant>> {
        tenants::list(&self.pool, after, limit).await
    }

    async fn list_standings(&self, tenant: TenantId) -> Result<(Timestamp, Vec<Standing>)> {
        let now = clock::now(&self.pool).await?;
        Ok((now, allowances::standings(&self.pool, tenant, None, now).await?))
    }

    async fn find_agent(&self, tenant: TenantId, name: &Name) -> Result<Option<Agent>> {
        agents::find(&self.pool, tenant, name).await
    }

    async fn get_agent(&self, tenant: TenantId, agent: AgentId) -> Result<Option<Agent>> {
        agents::get(&self.pool, tenant, agent).await
    }

    async fn list_agents(
        &self,
        tenant: TenantId,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<Agent>> {
        agents::list(&self.pool, tenant, after, limit).await
    }

    async fn find_version(
        &self,
        tenant: TenantId,
        agent: AgentId,
        number: u32,
    ) -> Result<Option<Version>> {
        agents::find_version(&self.pool, tenant, agent, number).await
    }

    async fn find_spec(&self, tenant: TenantId, digest: &Digest) -> Result<Option<Version>> {
        agents::find_spec(&self.pool, tenant, digest).await
    }

    async fn list_versions(
        &self,
        tenant: TenantId,
        agent: AgentId,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Version>> {
        agents::list_versions(&self.pool, tenant, agent, before, limit).await
    }

    async fn list_aliases(&self, tenant: TenantId, agent: AgentId) -> Result<Vec<Alias>> {
        agents::list_aliases(&self.pool, tenant, agent).await
    }

    async fn find_run(&self, tenant: TenantId, run: RunId) -> Result<Option<FullRun>> {
        runs::find(&self.pool, tenant, run).await
    }

    async fn read_inputs(&self, runs: &[(TenantId, RunId)]) -> Result<Vec<Option<Payload>>> {
        runs::read_inputs(&self.pool, runs).await
    }

    async fn list_runs(
        &self,
        tenant: TenantId,
        filter: &RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<FullRun>> {
        runs::list(&self.pool, tenant, filter, before, limit).await
    }

    async fn read_journal(
        &self,
        tenant: TenantId,
        run: RunId,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>> {
        journal::read(&self.pool, tenant, run, after, limit, max_bytes).await
    }

    async fn find_interrupt(&self, tenant: TenantId, id: InterruptId) -> Result<Option<Interrupt>> {
        interrupts::find(&self.pool, tenant, id).await
    }

    async fn list_interrupts(
        &self,
        tenant: TenantId,
        filter: &InterruptFilter,
        after: Option<(Timestamp, InterruptId)>,
        limit: usize,
    ) -> Result<Vec<Interrupt>> {
        interrupts::list(&self.pool, tenant, filter, after, limit).await
    }

    async fn polled_at(&self, tenant: TenantId, pool: &Name) -> Result<Option<Timestamp>> {
        pools::polled_at(&self.pool, tenant, pool).await
    }

    async fn count_running(&self, of: Capped) -> Result<u64> {
        Ok(caps::count(&self.pool, &[of]).await?.get(&of).copied().unwrap_or(0))
    }

    async fn count_ahead(&self, tenant: TenantId, run: RunId, limit: usize) -> Result<u64> {
        queue::count_ahead(&self.pool, tenant, run, limit).await
    }

    async fn find_turn(&self, tenant: TenantId, key: &str) -> Result<Option<RunId>> {
        turns::find(&self.pool, tenant, key).await
    }

    async fn read_inbox(
        &self,
        tenant: TenantId,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<InboxItem>> {
        inbox::read(&self.pool, tenant, run, after, limit).await
    }

    async fn list_artifacts(&self, tenant: TenantId, run: RunId) -> Result<Vec<ArtifactRow>> {
        artifacts::list(&self.pool, tenant, run).await
    }

    async fn find_artifact(
        &self,
        tenant: TenantId,
        run: RunId,
        name: &str,
    ) -> Result<Option<Artifact>> {
        artifacts::find(&self.pool, tenant, run, name).await
    }

    async fn announce(&self, hints: &[Hint]) -> Result<()> {
        hints::announce(&self.pool, hints).await
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.hints.subscribe()
    }
}
