//! Runs: finding, listing and locking them. [`save`](super::save) writes them.

use std::sync::Arc;

use sqlx::{SqliteConnection, SqlitePool};
use tenure_core::{AgentId, Payload, Run, RunId, TenantId, Timestamp};
use uuid::Uuid;

use super::clock;
use super::row::states;
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
    READ_INPUT,
    LOCK,
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
       encoding AS input_encoding, payload AS input, labels,
       ",
    agent_name!(),
    "
FROM runs JOIN run_inputs USING (tenant_id, run_id)
WHERE tenant_id = $1 AND run_id = $2"
);

pub(super) async fn find(
    pool: &SqlitePool,
    tenant: TenantId,
    run: RunId,
) -> Result<Option<FullRun>> {
    let query = sqlx::query(FIND).bind(tenant.uuid()).bind(run.uuid());
    let row = query.fetch_optional(pool).await?;
    row.map(|row| Reader::new("runs", &row).full_run()).transpose()
}

const READ_INPUT: &str = "-- read_input
SELECT content_type AS input_type, encoding AS input_encoding, payload AS input
FROM run_inputs
WHERE tenant_id = $1 AND run_id = $2";

pub(super) async fn read_inputs(
    pool: &SqlitePool,
    runs: &[(TenantId, RunId)],
) -> Result<Vec<Option<Payload>>> {
    let mut db = pool.acquire().await?;
    let mut inputs = Vec::with_capacity(runs.len());
    for (tenant, run) in runs {
        let query = sqlx::query(READ_INPUT).bind(tenant.uuid()).bind(run.uuid());
        let row = query.fetch_optional(&mut *db).await?;
        inputs.push(row.map(|row| Reader::new("run_inputs", &row).input()).transpose()?);
    }
    Ok(inputs)
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
            ", '' AS output_type, '' AS output_encoding, x'' AS output, '' AS input_type,
       '' AS input_encoding, x'' AS input, labels,
       ",
            agent_name!(),
            "
FROM runs JOIN run_inputs USING (tenant_id, run_id)
WHERE tenant_id = $1 AND run_id < $2 AND check_run IS NULL
  AND ($3 = '[]' OR state IN (SELECT value FROM json_each($3)))
  AND ($5 IS NULL OR agent_id = $5)
  AND ($6 IS NULL OR state = 'failed' AND failure_code = $6)
  AND ($7 IS NULL OR parent_run = $7)
  AND ($8 IS NULL OR concurrency_key = $8)",
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
    pool: &SqlitePool,
    tenant: TenantId,
    filter: &RunFilter,
    before: Option<RunId>,
    limit: usize,
) -> Result<Vec<FullRun>> {
    let rows = sqlx::query(list_by(filter))
        .bind(tenant.uuid())
        .bind(before.map_or(Uuid::max(), RunId::uuid))
        .bind(states(&filter.states))
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
    "-- lock_run
SELECT ",
    columns!(),
    ", output_type, output_encoding, output
FROM runs WHERE tenant_id = $1 AND run_id = $2"
);

pub(super) async fn lock(
    db: &mut SqliteConnection,
    runs: &[(TenantId, RunId)],
) -> Result<(Timestamp, Vec<Locked>)> {
    let mut answer = Vec::with_capacity(runs.len());
    for (tenant, run) in runs {
        let found = lock_row(db, *tenant, *run).await?;
        answer.push(found.map_or(Locked::Missing, |run| Locked::Run(Arc::new(run))));
    }
    Ok((clock::now(db).await?, answer))
}

/// Reads one run. The transaction holds the write lock: reading is locking.
pub(super) async fn lock_row(
    db: &mut SqliteConnection,
    tenant: TenantId,
    run: RunId,
) -> Result<Option<Run>> {
    let query = sqlx::query(LOCK).bind(tenant.uuid()).bind(run.uuid());
    let row = query.fetch_optional(db).await?;
    row.map(|row| Reader::new("runs", &row).run()).transpose()
}

/// Whose lease has expired, or whose cancel is to be forced.
macro_rules! expired {
    () => {
        "state = 'running'
       AND (lease_until < (SELECT now FROM tenure_clock)
            OR cancel_force_at <= (SELECT now FROM tenure_clock))"
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
ORDER BY lease_until, tenant_id, run_id LIMIT $1"
);

const LOCK_LATE: &str = concat!(
    "-- lock_late
SELECT ",
    columns!(),
    ", output_type, output_encoding, output
FROM runs
WHERE deadline <= (SELECT now FROM tenure_clock) AND ended_at IS NULL
  AND (",
    expired!(),
    ") IS NOT TRUE
ORDER BY deadline, tenant_id, run_id LIMIT $1"
);

pub(super) async fn lock_expired(
    db: &mut SqliteConnection,
    limit: usize,
) -> Result<(Timestamp, Vec<Run>)> {
    let mut rows = sqlx::query(LOCK_EXPIRED).bind(bound(limit)).fetch_all(&mut *db).await?;
    let left = bound(limit.saturating_sub(rows.len()));
    rows.extend(sqlx::query(LOCK_LATE).bind(left).fetch_all(&mut *db).await?);
    let runs = rows.iter().filter_map(|row| Reader::new("runs", row).run_if_readable()).collect();
    Ok((clock::now(db).await?, runs))
}
