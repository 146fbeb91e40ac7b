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
mod documents;
mod error;
mod heard;
mod hint;
mod known;
pub mod postgres;
mod rows;
pub mod sqlite;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
pub use error::{Result, StoreError};
pub use heard::HeardNow;
pub use hint::Hint;
pub use known::{AHEAD, BEHIND, Known, SeenAgent};
use tenure_core::agent::{Agent, Alias, Artifact, Tenant, Version};
use tenure_core::allowance::{Allowance, Hold, Standing};
use tenure_core::queue::{Cap, Capped, Ready};
use tenure_core::run::InboxItem;
use tenure_core::{
    AgentId, Digest, Entry, Failure, Interrupt, InterruptId, Key, Message, Name, Payload, Run,
    RunId, StateName, TenantId, Timestamp, Transition,
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

    /// The database's clock as far as it has been heard, without asking; `None` if it has not been.
    fn heard_now(&self) -> Option<HeardNow>;

    /// Saves, durably and with one round trip, what was decided from memory; false if something is
    /// not as it was known, and then nothing is saved. Says the same when a lock could not be had.
    async fn save_known(&self, known: &Known) -> Result<bool>;

    /// Sets the database's clock to stand still at a moment, or back to the real time. For tests.
    async fn set_clock(&self, at: Option<Timestamp>) -> Result<()>;

    /// The tenant with this name.
    async fn find_tenant(&self, name: &Name) -> Result<Option<Tenant>>;

    /// Up to `limit` tenants by name, after `after`.
    async fn list_tenants(&self, after: Option<&Name>, limit: usize) -> Result<Vec<Tenant>>;

    /// The allowances of a tenant with how they stand, and the time: first those of all its runs, then
    /// by agent; of each by period.
    async fn list_standings(&self, tenant: TenantId) -> Result<(Timestamp, Vec<Standing>)>;

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

    /// What these runs were given, in order; `None` for one that does not exist. A run that is asked
    /// for twice is answered twice.
    async fn read_inputs(&self, runs: &[(TenantId, RunId)]) -> Result<Vec<Option<Payload>>>;

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

    /// One interrupt, open or not.
    async fn find_interrupt(&self, tenant: TenantId, id: InterruptId) -> Result<Option<Interrupt>>;

    /// Up to `limit` interrupts that pass the filter, the oldest first, after the one that was
    /// opened then and has that id.
    async fn list_interrupts(
        &self,
        tenant: TenantId,
        filter: &InterruptFilter,
        after: Option<(Timestamp, InterruptId)>,
        limit: usize,
    ) -> Result<Vec<Interrupt>>;

    /// When somebody last polled this pool, to within the time that replicas wait before they note
    /// it again.
    async fn polled_at(&self, tenant: TenantId, pool: &Name) -> Result<Option<Timestamp>>;

    /// How many runs are leased, of the tenant or of one of its agents.
    async fn count_running(&self, of: Capped) -> Result<u64>;

    /// How many runs come before this one in its pool's queue, counted up to `limit`; 0 if it is not
    /// there. Those that are more urgent count if they are ready by the time that it is.
    async fn count_ahead(&self, tenant: TenantId, run: RunId, limit: usize) -> Result<u64>;

    /// The run that has the turn of this concurrency key.
    async fn find_turn(&self, tenant: TenantId, key: &str) -> Result<Option<RunId>>;

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
/// Lock order: caps before runs; run rows in the order that the statement gets them, never waiting
/// for a second one ([`lock_runs`](Tx::lock_runs) skips rows that are busy). What else is waited for,
/// idempotency keys and turns, each method locks in one order. So there is no cycle.
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

    /// Up to `limit` runs that are ready for each tenant, pool, lane and priority among these, in
    /// the order of the queue. Nothing is locked: [`lock_ready`](Tx::lock_ready) those that were
    /// chosen.
    async fn find_ready(&mut self, places: &[(TenantId, Name)], limit: usize)
    -> Result<Vec<Ready>>;

    /// Locks the caps of these tenants and agents, and counts what is running under each. Those
    /// without a cap are left out. Called before any run is locked, and in one order by everybody:
    /// who waits here holds nothing that others wait for.
    async fn lock_caps(&mut self, of: &[Capped]) -> Result<HashMap<Capped, Cap>>;

    /// Locks these runs as far as they are still ready and not busy, in the order asked for, passing
    /// over, loudly, rows that cannot be read. Rows of the queue that are stale are removed.
    async fn lock_ready(&mut self, runs: &[(TenantId, RunId)]) -> Result<(Timestamp, Vec<Run>)>;

    /// Locks up to `limit` runs of all tenants whose lease has expired or whose cancel is to be forced,
    /// and after them those whose deadline has passed; of each the longest overdue first. A row that
    /// cannot be read is logged and passed over.
    async fn lock_expired(&mut self, limit: usize) -> Result<(Timestamp, Vec<Run>)>;

    /// Locks up to `limit` runs with an open interrupt whose time is up, of all tenants, each with
    /// one of them.
    async fn lock_due(&mut self, limit: usize) -> Result<(Timestamp, Vec<(Run, Interrupt)>)>;

    /// These interrupts, in order. Their runs must be locked.
    async fn read_interrupts(
        &mut self,
        ids: &[(TenantId, InterruptId)],
    ) -> Result<Vec<Option<Interrupt>>>;

    /// Which of these `(tenant, run, source)` are in the run's inbox already, in order. The runs
    /// must be locked.
    async fn inbox_sources(&mut self, sources: &[(TenantId, RunId, String)]) -> Result<Vec<bool>>;

    /// Saves transitions of different runs: rows, journals, inboxes and queue, and what was spent. Every run must have
    /// the revision its transition started from, else nothing is saved
    /// ([`StoreError::Conflict`]).
    async fn save(&mut self, transitions: &[Transition]) -> Result<()>;

    /// Gives each run the turn of its concurrency key if nobody has it, and locks the key; who has
    /// it now, in order. The same run again keeps it.
    async fn take_turns(&mut self, turns: &[Turn]) -> Result<Vec<RunId>>;

    /// Locks a concurrency key; who has its turn, and the run that has waited longest for it.
    async fn lock_turn(
        &mut self,
        tenant: TenantId,
        key: &str,
    ) -> Result<(Option<RunId>, Option<RunId>)>;

    /// Gives the turn of a locked concurrency key to this run, or frees it.
    async fn set_turn(&mut self, tenant: TenantId, key: &str, run: Option<RunId>) -> Result<()>;

    /// Up to `limit` messages that are due, of all tenants, the oldest first: each is due again after
    /// `retry` unless it is [dropped](Tx::drop_messages) meanwhile. That a run's children end is
    /// told only when it has no calls left to make.
    async fn take_messages(&mut self, limit: usize, retry: Duration) -> Result<Vec<Posted>>;

    /// Removes messages whose work is done.
    async fn drop_messages(&mut self, messages: &[(TenantId, RunId, u64)]) -> Result<()>;

    /// Copies entries of a journal to the start of another, numbered 1 to n under epoch 0 with their
    /// times, without those that only open something and without steering; n, or `None` if the
    /// journal has no entry [`before`](Prefix::before) which to stop.
    async fn copy_journal(
        &mut self,
        tenant: TenantId,
        from: RunId,
        to: RunId,
        prefix: &Prefix,
    ) -> Result<Option<u64>>;

    /// Notes that somebody polls these pools now.
    async fn note_polls(&mut self, places: &[(TenantId, Name)]) -> Result<()>;

    /// Sets or removes the cap of a tenant, or of one of its agents, whose runs move to a lane of
    /// their own or back; false if there is no such. What is leased already goes on.
    async fn set_cap(&mut self, of: Capped, max_running: Option<u32>) -> Result<bool>;

    /// Sets or removes the policy of a tenant; false if there is none.
    async fn set_policy(&mut self, tenant: TenantId, policy: Option<&str>) -> Result<bool>;

    /// Sets an allowance of that tenant, agent and period, or removes it if it bounds nothing; false
    /// if there was none to remove.
    async fn set_allowance(&mut self, allowance: &Allowance) -> Result<bool>;

    /// Locks the allowances that the runs of an agent draw on: how they stand, and the time. Nobody
    /// else reserves anything of them meanwhile.
    async fn lock_allowances(
        &mut self,
        tenant: TenantId,
        agent: AgentId,
    ) -> Result<(Timestamp, Vec<Standing>)>;

    /// Reserves, instead of what was reserved for the same step before. It is given back when a model's
    /// entry with this key is [saved](Tx::save), or when its time is over, which is as of `now`.
    async fn hold(&mut self, hold: &Hold, now: Timestamp) -> Result<()>;

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
    /// Only runs that failed with this code.
    pub failure_code: Option<String>,
    /// Only runs that this run called.
    pub parent: Option<RunId>,
    /// Only runs with this concurrency key.
    pub concurrency: Option<String>,
}

/// Which interrupts to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterruptFilter {
    /// Those that have been answered, timed out or closed as well, not only open ones.
    pub all: bool,
    /// Only those of this agent's runs.
    pub agent: Option<AgentId>,
    /// Only those of this run.
    pub run: Option<RunId>,
    /// Only those that are assigned so.
    pub assignee: Option<String>,
    /// Only those that were opened before this moment.
    pub opened_before: Option<Timestamp>,
}

/// A run that wants the turn of its concurrency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The tenant that the key is of.
    pub tenant: TenantId,
    /// The key.
    pub key: String,
    /// The run.
    pub run: RunId,
}

/// A message with where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Whose.
    pub tenant: TenantId,
    /// The run that caused it.
    pub run: RunId,
    /// Its place among those of the run.
    pub number: u64,
    /// What is to happen.
    pub message: Message,
}

/// How much of a journal a fork begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Stop before the first entry with this key; `None` for the whole journal.
    pub before: Option<Key>,
    /// Take the results of tools from behind it as well.
    pub tools: bool,
    /// Leave out steps that failed with exactly this.
    pub without: Option<Failure>,
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
