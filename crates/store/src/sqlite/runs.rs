//! Runs: finding, listing and locking them. [`save`](super::save) writes them.

use std::sync::Arc;

use sqlx::{SqliteConnection, SqlitePool};
use tenure_core::{Run, RunId, TenantId, Timestamp};
use uuid::Uuid;

use super::clock;
use super::row::states;
use crate::columns::limit as bound;
use crate::rows::Reader;
use crate::{FullRun, Locked, Result, RunFilter, RunKey};

pub(super) const STATEMENTS: &[&str] =
    &[FIND, LIST, LIST_BY_AGENT, LOCK, LOCK_EXPIRED, RESERVE_KEY, FIND_KEY];

/// The columns of a run but for its output, which lists leave out.
macro_rules! columns {
    () => {
        "tenant_id, run_id, agent_id, version, pool, state, epoch, next_seq, inbox, revision,
       ready_at, lease_id, lease_worker, lease_until, lease_started, wait_reason, failure_code,
       failure_message, failure_retryable, ended_at, cancel_reason, cancel_force_at, last_commit,
       attempts, max_attempts, stalled, offers, input_tokens, output_tokens, cached_tokens,
       reasoning_tokens, cost_micros, created_at, updated_at"
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

/// A page of runs; `$filter` is the part of the condition that decides about the index.
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
WHERE tenant_id = $1 AND run_id < $2 AND ($3 = '[]' OR state IN (SELECT value FROM json_each($3)))",
            $filter,
            "
ORDER BY run_id DESC LIMIT $4"
        )
    };
}

const LIST: &str = list!("-- list_runs", "");
const LIST_BY_AGENT: &str = list!("-- list_runs_by_agent", " AND agent_id = $5");

pub(super) async fn list(
    pool: &SqlitePool,
    tenant: TenantId,
    filter: &RunFilter,
    before: Option<RunId>,
    limit: usize,
) -> Result<Vec<FullRun>> {
    let mut query = sqlx::query(if filter.agent.is_some() { LIST_BY_AGENT } else { LIST })
        .bind(tenant.uuid())
        .bind(before.map_or(Uuid::max(), RunId::uuid))
        .bind(states(&filter.states))
        .bind(bound(limit));
    if let Some(agent) = filter.agent {
        query = query.bind(agent.uuid());
    }
    let rows = query.fetch_all(pool).await?;
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

const LOCK_EXPIRED: &str = concat!(
    "-- lock_expired
SELECT ",
    columns!(),
    ", output_type, output_encoding, output
FROM runs
WHERE state = 'running'
  AND (lease_until < (SELECT now FROM tenure_clock)
       OR cancel_force_at <= (SELECT now FROM tenure_clock))
ORDER BY tenant_id, run_id LIMIT $1"
);

pub(super) async fn lock_expired(
    db: &mut SqliteConnection,
    limit: usize,
) -> Result<(Timestamp, Vec<Run>)> {
    let rows = sqlx::query(LOCK_EXPIRED).bind(bound(limit)).fetch_all(&mut *db).await?;
    let runs = rows.iter().filter_map(|row| Reader::new("runs", row).run_if_readable()).collect();
    Ok((clock::now(db).await?, runs))
}

const RESERVE_KEY: &str = "-- reserve_key
INSERT INTO run_keys (tenant_id, key, digest, run_id) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING";

const FIND_KEY: &str = "-- find_key
SELECT tenant_id, key, digest, run_id FROM run_keys WHERE tenant_id = $1 AND key = $2";

pub(super) async fn reserve_keys(
    db: &mut SqliteConnection,
    keys: &[RunKey],
) -> Result<Vec<Option<RunKey>>> {
    let mut answer = Vec::with_capacity(keys.len());
    for key in keys {
        answer.push(reserve_key(db, key).await?);
    }
    Ok(answer)
}

async fn reserve_key(db: &mut SqliteConnection, key: &RunKey) -> Result<Option<RunKey>> {
    let done = sqlx::query(RESERVE_KEY)
        .bind(key.tenant.uuid())
        .bind(&key.key)
        .bind(&key.digest.as_bytes()[..])
        .bind(key.run.uuid())
        .execute(&mut *db)
        .await?;
    if done.rows_affected() == 1 {
        return Ok(None);
    }
    let query = sqlx::query(FIND_KEY).bind(key.tenant.uuid()).bind(&key.key);
    let row = query.fetch_optional(db).await?;
    row.map(|row| Reader::new("run_keys", &row).run_key()).transpose()
}
