//! Runs: finding, listing and locking them. [`save`](super::save) writes them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool};
use tenure_core::{Run, RunId, StateName, TenantId, Timestamp};
use uuid::Uuid;

use super::clock;
use super::row::column;
use crate::columns::limit as bound;
use crate::rows::Reader;
use crate::{FullRun, Locked, Result, RunFilter, RunKey};

pub(super) const STATEMENTS: &[&str] =
    &[FIND, LIST, LIST_BY_AGENT, LOCK, EXISTING, LOCK_EXPIRED, RESERVE_KEYS, FIND_KEYS];

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

/// A page of runs; `$filter` is the part of the condition that decides about the index.
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
WHERE tenant_id = $1 AND run_id < $2 AND (cardinality($3::text[]) = 0 OR state = ANY ($3))",
            $filter,
            "
ORDER BY run_id DESC LIMIT $4"
        )
    };
}

const LIST: &str = list!("-- list_runs", "");
const LIST_BY_AGENT: &str = list!("-- list_runs_by_agent", " AND agent_id = $5");

pub(super) async fn list(
    pool: &PgPool,
    tenant: TenantId,
    filter: &RunFilter,
    before: Option<RunId>,
    limit: usize,
) -> Result<Vec<FullRun>> {
    let states = filter.states.iter().copied().map(StateName::as_str).collect::<Vec<_>>();
    let mut query = sqlx::query(if filter.agent.is_some() { LIST_BY_AGENT } else { LIST })
        .bind(tenant.uuid())
        .bind(before.map_or(Uuid::max(), RunId::uuid))
        .bind(states)
        .bind(bound(limit));
    if let Some(agent) = filter.agent {
        query = query.bind(agent.uuid());
    }
    let rows = query.fetch_all(pool).await?;
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
    rows.iter()
        .map(|row| {
            let row = Reader::new("runs", row);
            Ok((TenantId::new(row.id("tenant_id")?), RunId::new(row.id("run_id")?)))
        })
        .collect()
}

// The clock is asked once, not for every row.
const LOCK_EXPIRED: &str = concat!(
    "-- lock_expired
SELECT ",
    columns!(),
    ", output_type, output_encoding, output
FROM runs
WHERE state = 'running'
  AND (lease_until < (SELECT tenure_now()) OR cancel_force_at <= (SELECT tenure_now()))
ORDER BY tenant_id, run_id LIMIT $1
-- A locked row is alive, or another sweep has it.
FOR NO KEY UPDATE SKIP LOCKED"
);

pub(super) async fn lock_expired(
    db: &mut PgConnection,
    limit: usize,
) -> Result<(Timestamp, Vec<Run>)> {
    let rows = sqlx::query(LOCK_EXPIRED).bind(bound(limit)).fetch_all(&mut *db).await?;
    let runs = rows.iter().filter_map(|row| Reader::new("runs", row).run_if_readable()).collect();
    Ok((clock::now(db).await?, runs))
}

// In one order for everybody: of two transactions that reserve the same keys, one waits for the
// other, and not each for each.
const RESERVE_KEYS: &str = "-- reserve_keys
INSERT INTO run_keys (tenant_id, key, digest, run_id)
SELECT tenant_id, key, digest, run_id
FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[]) WITH ORDINALITY
     AS asked (tenant_id, key, digest, run_id, place)
ORDER BY tenant_id, key COLLATE \"C\", place
ON CONFLICT DO NOTHING
RETURNING tenant_id, key, digest, run_id";

// A statement of its own: the one above does not see a row that was committed while it ran.
const FIND_KEYS: &str = "-- find_keys
SELECT tenant_id, key, digest, run_id
FROM run_keys JOIN unnest($1::uuid[], $2::text[]) AS asked (tenant_id, key) USING (tenant_id, key)";

pub(super) async fn reserve_keys(
    db: &mut PgConnection,
    keys: &[RunKey],
) -> Result<Vec<Option<RunKey>>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(RESERVE_KEYS)
        .bind(column(keys, |key| key.tenant.uuid()))
        .bind(column(keys, |key| key.key.as_str()))
        .bind(column(keys, |key| &key.digest.as_bytes()[..]))
        .bind(column(keys, |key| key.run.uuid()))
        .fetch_all(&mut *db)
        .await?;
    let mut new = by_key(&rows)?;
    if new.len() == keys.len() {
        return Ok(vec![None; keys.len()]);
    }
    let rows = sqlx::query(FIND_KEYS)
        .bind(column(keys, |key| key.tenant.uuid()))
        .bind(column(keys, |key| key.key.as_str()))
        .fetch_all(db)
        .await?;
    let taken = by_key(&rows)?;
    // The first of equal keys has reserved it; the others find it taken.
    let answer = |key: &RunKey| {
        let name = (key.tenant, key.key.clone());
        if new.remove(&name).is_some() { None } else { taken.get(&name).cloned() }
    };
    Ok(keys.iter().map(answer).collect())
}

fn by_key(rows: &[PgRow]) -> Result<HashMap<(TenantId, String), RunKey>> {
    let keyed = |row| {
        let key = Reader::new("run_keys", row).run_key()?;
        Ok(((key.tenant, key.key.clone()), key))
    };
    rows.iter().map(keyed).collect()
}

fn tenants(runs: &[(TenantId, RunId)]) -> Vec<Uuid> {
    column(runs, |(tenant, _)| tenant.uuid())
}

fn ids(runs: &[(TenantId, RunId)]) -> Vec<Uuid> {
    column(runs, |(_, run)| run.uuid())
}
