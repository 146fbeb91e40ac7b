//! The queue: which runs of a pool are ready.
//!
//! The runs of a pool stand in lines, one for each lane and rank, each in the order of time. What
//! is next is at the front of one of them: the front rows of all lines are read, and no others.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use sqlx::{SqliteConnection, SqlitePool};
use tenure_core::queue::Ready;
use tenure_core::{Name, Run, RunId, TenantId, Timestamp};
use uuid::Uuid;

use super::row::micros;
use super::{clock, runs};
use crate::columns::{ReadyColumns, limit as bound};
use crate::rows::Reader;
use crate::{Result, StoreError};

pub(super) const STATEMENTS: &[&str] =
    &[NEXT_LINE, FRONT, FIND_PLACE, COUNT_AHEAD, ENQUEUE, DEQUEUE];

/// The runs of one lane and rank of a pool.
#[derive(Clone, Copy)]
struct Line {
    lane: Uuid,
    rank: i64,
}

// Skips from one line to the next in the index, however long they are.
const NEXT_LINE: &str = "-- next_line
SELECT lane, rank FROM run_ready
WHERE tenant_id = $1 AND pool = $2 AND (lane, rank) > ($3, $4) ORDER BY lane, rank LIMIT 1";

async fn lines(db: &mut SqliteConnection, tenant: TenantId, pool: &str) -> Result<Vec<Line>> {
    let (mut lines, mut last) = (Vec::new(), Line { lane: Uuid::nil(), rank: i64::MIN });
    loop {
        let query = sqlx::query(NEXT_LINE).bind(tenant.uuid()).bind(pool);
        let row = query.bind(last.lane).bind(last.rank).fetch_optional(&mut *db).await?;
        let Some(row) = row else { return Ok(lines) };
        let row = Reader::new("run_ready", &row);
        last = Line { lane: row.id("lane")?, rank: row.int("rank")? };
        lines.push(last);
    }
}

// What is not due yet is behind what is, and never read.
const FRONT: &str = "-- front
SELECT tenant_id, run_id, lane, rank, ready_at FROM run_ready
WHERE tenant_id = $1 AND pool = $2 AND lane = $3 AND rank = $4
  AND ready_at <= (SELECT now FROM tenure_clock)
ORDER BY ready_at, run_id LIMIT $5";

pub(super) async fn find_ready(
    db: &mut SqliteConnection,
    places: &[(TenantId, Name)],
    limit: usize,
) -> Result<Vec<Ready>> {
    let mut ready = Vec::new();
    for (tenant, pool) in places.iter().collect::<BTreeSet<_>>() {
        for line in lines(db, *tenant, pool.as_str()).await? {
            ready.extend(front(db, *tenant, pool, line, limit).await?);
        }
    }
    ready.sort_by_key(|ready: &Ready| (-ready.priority, ready.ready_at, ready.run));
    Ok(ready)
}

async fn front(
    db: &mut SqliteConnection,
    tenant: TenantId,
    pool: &Name,
    line: Line,
    limit: usize,
) -> Result<Vec<Ready>> {
    let query = sqlx::query(FRONT).bind(tenant.uuid()).bind(pool.as_str());
    let query = query.bind(line.lane).bind(line.rank).bind(bound(limit));
    let rows = query.fetch_all(db).await?;
    rows.iter().map(|row| Reader::new("run_ready", row).ready()).collect()
}

const FIND_PLACE: &str = "-- find_place
SELECT pool, rank, ready_at, (SELECT now FROM tenure_clock) AS now FROM run_ready
WHERE tenant_id = $1 AND run_id = $2";

const COUNT_AHEAD: &str = "-- count_ahead
SELECT count(*) AS ahead
FROM (SELECT 1 FROM run_ready
      WHERE tenant_id = $1 AND pool = $2 AND lane = $3 AND rank = $4
        AND (ready_at, run_id) < ($5, $6)
      LIMIT $7) AS line";

// Ahead is what is more urgent and ready by the time that this run is, and what is as urgent and
// ready before it.
pub(super) async fn count_ahead(
    pool: &SqlitePool,
    tenant: TenantId,
    run: RunId,
    limit: usize,
) -> Result<u64> {
    let mut db = pool.acquire().await?;
    let query = sqlx::query(FIND_PLACE).bind(tenant.uuid()).bind(run.uuid());
    let Some(row) = query.fetch_optional(&mut *db).await? else { return Ok(0) };
    let row = Reader::new("run_ready", &row);
    let (pool, rank) = (row.text("pool")?, row.int("rank")?);
    let (ready_at, now) = (row.time("ready_at")?, row.time("now")?);
    let mut ahead = 0;
    for line in lines(&mut db, tenant, &pool).await? {
        let before = match line.rank.cmp(&rank) {
            Ordering::Less => (ready_at.max(now), Uuid::max()),
            Ordering::Equal => (ready_at, run.uuid()),
            Ordering::Greater => continue,
        };
        ahead += count_line(&mut db, tenant, &pool, line, before, limit).await?;
    }
    Ok(ahead.min(limit as u64))
}

async fn count_line(
    db: &mut SqliteConnection,
    tenant: TenantId,
    pool: &str,
    line: Line,
    (ready_at, run): (Timestamp, Uuid),
    limit: usize,
) -> Result<u64> {
    let query = sqlx::query(COUNT_AHEAD).bind(tenant.uuid()).bind(pool).bind(line.lane);
    let query = query.bind(line.rank).bind(micros(ready_at)).bind(run).bind(bound(limit));
    Reader::new("run_ready", &query.fetch_one(db).await?).count("ahead")
}

pub(super) async fn lock_ready(
    db: &mut SqliteConnection,
    runs: &[(TenantId, RunId)],
) -> Result<(Timestamp, Vec<Run>)> {
    let now = clock::now(&mut *db).await?;
    let mut locked = Vec::new();
    for (tenant, run) in runs {
        match runs::lock_row(db, *tenant, *run).await {
            Ok(Some(run)) if run.ready_at().is_some_and(|ready_at| ready_at <= now) => {
                locked.push(run);
            }
            Ok(Some(run)) if run.ready_at().is_some() => {}
            // The row is stale.
            Ok(Some(_) | None) => dequeue_one(db, tenant.uuid(), run.uuid()).await?,
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "passing over a run");
            }
            Err(error) => return Err(error),
        }
    }
    Ok((now, locked))
}

const ENQUEUE: &str = "-- enqueue
INSERT INTO run_ready (tenant_id, run_id, agent_id, pool, rank, ready_at, lane)
VALUES ($1, $2, $3, $4, $5, $6,
        coalesce((SELECT agent_id FROM agents
                  WHERE tenant_id = $1 AND agent_id = $3 AND max_running IS NOT NULL),
                 zeroblob(16)))
-- A stale row may still be there.
ON CONFLICT (tenant_id, run_id)
DO UPDATE SET pool = excluded.pool, rank = excluded.rank, ready_at = excluded.ready_at,
    lane = excluded.lane";

pub(super) async fn enqueue(db: &mut SqliteConnection, rows: &[ReadyColumns<'_>]) -> Result<()> {
    for row in rows {
        sqlx::query(ENQUEUE)
            .bind(row.tenant_id)
            .bind(row.run_id)
            .bind(row.agent_id)
            .bind(row.pool)
            .bind(row.rank)
            .bind(micros(row.ready_at))
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

const DEQUEUE: &str = "-- dequeue
DELETE FROM run_ready WHERE tenant_id = $1 AND run_id = $2";

pub(super) async fn dequeue(db: &mut SqliteConnection, rows: &[ReadyColumns<'_>]) -> Result<()> {
    for row in rows {
        dequeue_one(db, row.tenant_id, row.run_id).await?;
    }
    Ok(())
}

async fn dequeue_one(db: &mut SqliteConnection, tenant: Uuid, run: Uuid) -> Result<()> {
    sqlx::query(DEQUEUE).bind(tenant).bind(run).execute(db).await?;
    Ok(())
}
