//! Runs: finding, listing and locking them. [`save`](super::save) writes them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool};
use tenure_core::{AgentId, Payload, Run, RunId, TenantId, Timestamp};
use uuid::Uuid;

use super::clock;
use super::row::column;
use crate::columns::limit as bound;
use crate::rows::Reader;
use crate::{FullRun, Locked, Result, RunFilter};

pub(super) const STATEMENTS: &[&str] = &[
    FIND,
    LIST,
    LIST_BY_AGENT,
    LIST_FAILED,
    LIST_BY_PARENT,
    LIST_BY_CONCURRENCY,
    LIST_ALIVE_BY_CONCURRENCY,
    LOCK,
    EXISTING,
    READ_INPUTS,
    LOCK_EXPIRED,
    LOCK_LATE,
];

/// The columns of a run but for its output, which lists leave out.
macro_rules! columns {
    () => {
        "tenant_id, run_id, agent_id, version, pool, state, epoch, next_seq, inbox, revision,
       ready_at, lease_id, lease_worker, lease_until, lease_started, wait_reason, wait_on,
       failure_code, failure_message, failure_retryable, ended_at, request, steer_actor,
       steer_reason, cancel_force_at, last_commit, attempts, stalled, offers, retried, priority,
       children, interrupts, posted, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
       cost_micros, tool_calls, called, updated_at, max_attempts, retry_limit, retry_backoff_micros,
       retry_max_backoff_micros, start_at, deadline, concurrency_key, parent_run, parent_key,
       detached, depth, check_run, budget, created_at"
    };
}

macro_rules! agent_name {
    () => {
        "(SELECT name FROM agents
        WHERE agents.tenant_id = runs.tenant_id AND agents.agent_id = runs.agent_id) AS agent_name"
    };
}

const FIND: &str = concat!(
    "-- find_run
SELECT ",
    columns!(),
    ", output_type, output_encoding, output, content_type AS input_type,
       encoding AS input_encoding, payload AS input, labels::text AS labels,
       ",
    agent_name!(),
    "
FROM runs JOIN run_inputs USING (tenant_id, run_id)
WHERE tenant_id = $1 AND run_id = $2"
);

pub(super) async fn find(pool: &PgPool, tenant: TenantId, run: RunId) -> Result<Option<FullRun>> {
    let query = sqlx::query(FIND).bind(tenant.uuid()).bind(run.uuid());
    let row = query.fetch_optional(pool).await?;
    row.map(|row| Reader::new("runs", &row).full_run()).transpose()
}

const READ_INPUTS: &str = "-- read_inputs
SELECT tenant_id, run_id, content_type AS input_type, encoding AS input_encoding, payload AS input
FROM run_inputs JOIN unnest($1::uuid[], $2::uuid[]) AS asked (tenant_id, run_id)
     USING (tenant_id, run_id)";

pub(super) async fn read_inputs(
    pool: &PgPool,
    runs: &[(TenantId, RunId)],
) -> Result<Vec<Option<Payload>>> {
    let query = sqlx::query(READ_INPUTS).bind(tenants(runs)).bind(ids(runs));
    let rows = query.fetch_all(pool).await?;
    let readers = rows.iter().map(|row| Reader::new("run_inputs", row));
    let inputs = readers.map(|reader| Ok((reader.run_ref()?, reader.input()?)));
    let inputs: HashMap<_, _> = inputs.collect::<Result<_>>()?;
    Ok(runs.iter().map(|run| inputs.get(run).cloned()).collect())
}

/// A page of runs; `$filter` repeats the one condition that says which index to read. Runs that
/// only check others are nobody's to see.
macro_rules! list {
    ($name:literal, $filter:literal) => {
        concat!(
            $name,
            "
SELECT ",
            columns!(),
            ", '' AS output_type, '' AS output_encoding, ''::bytea AS output, '' AS input_type,
       '' AS input_encoding, ''::bytea AS input, labels::text AS labels,
       ",
            agent_name!(),
            "
FROM runs JOIN run_inputs USING (tenant_id, run_id)
WHERE tenant_id = $1 AND run_id < $2 AND check_run IS NULL
  AND (cardinality($3::text[]) = 0 OR state = ANY ($3))
  AND ($5::uuid IS NULL OR agent_id = $5)
  AND ($6::text IS NULL OR state = 'failed' AND failure_code = $6)
  AND ($7::uuid IS NULL OR parent_run = $7)
  AND ($8::text IS NULL OR concurrency_key = $8)",
            $filter,
            "
ORDER BY run_id DESC LIMIT $4"
        )
    };
}

const LIST: &str = list!("-- list_runs", "");
const LIST_BY_AGENT: &str = list!("-- list_runs_by_agent", " AND agent_id = $5");
const LIST_FAILED: &str =
    list!("-- list_runs_failed", " AND state = 'failed' AND failure_code = $6");
const LIST_BY_PARENT: &str = list!("-- list_runs_by_parent", " AND parent_run = $7");
const LIST_BY_CONCURRENCY: &str = list!("-- list_runs_by_concurrency", " AND concurrency_key = $8");
const LIST_ALIVE_BY_CONCURRENCY: &str =
    list!("-- list_runs_alive_by_concurrency", " AND concurrency_key = $8 AND ended_at IS NULL");

/// The statement for the index that leaves the least to look through.
fn list_by(filter: &RunFilter) -> &'static str {
    let all_alive = filter.states.iter().all(|state| !state.is_terminal());
    match filter {
        RunFilter { parent: Some(_), .. } => LIST_BY_PARENT,
        RunFilter { concurrency: Some(_), states, .. } if all_alive && !states.is_empty() => {
            LIST_ALIVE_BY_CONCURRENCY
        }
        RunFilter { concurrency: Some(_), .. } => LIST_BY_CONCURRENCY,
        RunFilter { failure_code: Some(_), .. } => LIST_FAILED,
        RunFilter { agent: Some(_), .. } => LIST_BY_AGENT,
        RunFilter { .. } => LIST,
    }
}

pub(super) async fn list(
    pool: &PgPool,
    tenant: TenantId,
    filter: &RunFilter,
    before: Option<RunId>,
    limit: usize,
) -> Result<Vec<FullRun>> {
    let states = column(&filter.states, |state| state.as_str());
    let rows = sqlx::query(list_by(filter))
        .bind(tenant.uuid())
        .bind(before.map_or(Uuid::max(), RunId::uuid))
        .bind(states)
        .bind(bound(limit))
        .bind(filter.agent.map(AgentId::uuid))
        .bind(filter.failure_code.as_deref())
        .bind(filter.parent.map(RunId::uuid))
        .bind(filter.concurrency.as_deref())
        .fetch_all(pool)
        .await?;
    rows.iter().map(|row| Reader::new("runs", row).full_run()).collect()
}

const LOCK: &str = concat!(
    "-- lock_runs
SELECT ",
    columns!(),
    ", output_type, output_encoding, output, tenure_now() AS now
FROM runs JOIN unnest($1::uuid[], $2::uuid[]) AS asked (tenant_id, run_id)
     USING (tenant_id, run_id)
-- Passing over rows that are locked: a transaction that holds one run and waits for another can be
-- waited for in a circle. Not the key: others may go on referring to the run.
FOR NO KEY UPDATE OF runs SKIP LOCKED"
);

const EXISTING: &str = "-- existing_runs
SELECT tenant_id, run_id
FROM runs JOIN unnest($1::uuid[], $2::uuid[]) AS asked (tenant_id, run_id)
     USING (tenant_id, run_id)";

pub(super) async fn lock(
    db: &mut PgConnection,
    runs: &[(TenantId, RunId)],
) -> Result<(Timestamp, Vec<Locked>)> {
    let (now, locked) = lock_rows(db, runs).await?;
    let mut locked: HashMap<_, _> =
        locked.into_iter().map(|run| ((run.tenant, run.id), Arc::new(run))).collect();
    let left: Vec<_> = runs.iter().filter(|run| !locked.contains_key(run)).copied().collect();
    let busy = existing(db, &left).await?;
    let mut answer = Vec::with_capacity(runs.len());
    for run in runs {
        answer.push(match locked.get_mut(run) {
            Some(found) => Locked::Run(Arc::clone(found)),
            None if busy.contains(run) => Locked::Busy,
            None => Locked::Missing,
        });
    }
    Ok((now, answer))
}

/// Locks those of these runs that nobody else has locked, in no order.
pub(super) async fn lock_rows(
    db: &mut PgConnection,
    runs: &[(TenantId, RunId)],
) -> Result<(Timestamp, Vec<Run>)> {
    if runs.is_empty() {
        return Ok((clock::now(db).await?, Vec::new()));
    }
    let rows = fetch_locked(db, runs).await?;
    let locked = rows.iter().map(|row| Reader::new("runs", row).run()).collect::<Result<_>>()?;
    Ok((locked_at(db, &rows).await?, locked))
}

/// Like [`lock_rows`], without those that cannot be read: they stay where they are.
pub(super) async fn lock_readable_rows(
    db: &mut PgConnection,
    runs: &[(TenantId, RunId)],
) -> Result<(Timestamp, Vec<Run>)> {
    let rows = fetch_locked(db, runs).await?;
    let runs = rows.iter().filter_map(|row| Reader::new("runs", row).run_if_readable()).collect();
    Ok((locked_at(db, &rows).await?, runs))
}

async fn fetch_locked(db: &mut PgConnection, runs: &[(TenantId, RunId)]) -> Result<Vec<PgRow>> {
    Ok(sqlx::query(LOCK).bind(tenants(runs)).bind(ids(runs)).fetch_all(db).await?)
}

/// The time when the last of the rows was locked.
async fn locked_at(db: &mut PgConnection, rows: &[PgRow]) -> Result<Timestamp> {
    let times = rows.iter().map(|row| Reader::new("runs", row).time("now"));
    match times.collect::<Result<Vec<_>>>()?.into_iter().max() {
        Some(now) => Ok(now),
        None => clock::now(db).await,
    }
}

async fn existing(
    db: &mut PgConnection,
    runs: &[(TenantId, RunId)],
) -> Result<HashSet<(TenantId, RunId)>> {
    if runs.is_empty() {
        return Ok(HashSet::new());
    }
    let query = sqlx::query(EXISTING).bind(tenants(runs)).bind(ids(runs));
    let rows = query.fetch_all(db).await?;
    rows.iter().map(|row| Reader::new("runs", row).run_ref()).collect()
}

/// Whose lease has expired, or whose cancel is to be forced. The clock is asked once, not for every
/// row.
macro_rules! expired {
    () => {
        "state = 'running'
       AND (lease_until < (SELECT tenure_now()) OR cancel_force_at <= (SELECT tenure_now()))"
    };
}

// No index has this order: what is looked through are the leased runs, which are few, wherever they
// stand among all.
const LOCK_EXPIRED: &str = concat!(
    "-- lock_expired
SELECT ",
    columns!(),
    ", output_type, output_encoding, output
FROM runs
WHERE ",
    expired!(),
    "
ORDER BY lease_until, tenant_id, run_id LIMIT $1
-- A locked row is alive, or another sweep has it.
FOR NO KEY UPDATE SKIP LOCKED"
);

// A statement of its own: how many deadlines have passed cannot be estimated, and joined with the
// others by that estimate, every run there is would be read.
const LOCK_LATE: &str = concat!(
    "-- lock_late
SELECT ",
    columns!(),
    ", output_type, output_encoding, output
FROM runs
WHERE deadline <= (SELECT tenure_now()) AND ended_at IS NULL
  AND (",
    expired!(),
    ") IS NOT TRUE
ORDER BY deadline, tenant_id, run_id LIMIT $1
FOR NO KEY UPDATE SKIP LOCKED"
);

pub(super) async fn lock_expired(
    db: &mut PgConnection,
    limit: usize,
) -> Result<(Timestamp, Vec<Run>)> {
    let mut rows = sqlx::query(LOCK_EXPIRED).bind(bound(limit)).fetch_all(&mut *db).await?;
    let left = bound(limit.saturating_sub(rows.len()));
    rows.extend(sqlx::query(LOCK_LATE).bind(left).fetch_all(&mut *db).await?);
    let runs = rows.iter().filter_map(|row| Reader::new("runs", row).run_if_readable()).collect();
    Ok((clock::now(db).await?, runs))
}

pub(super) fn tenants(runs: &[(TenantId, RunId)]) -> Vec<Uuid> {
    column(runs, |(tenant, _)| tenant.uuid())
}

pub(super) fn ids(runs: &[(TenantId, RunId)]) -> Vec<Uuid> {
    column(runs, |(_, run)| run.uuid())
}
