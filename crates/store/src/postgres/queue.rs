//! The queue: which runs of a pool are ready.

use sqlx::PgConnection;
use tenure_core::{Name, Run, RunId, TenantId, Timestamp};
use uuid::Uuid;

use super::row::{Time, column};
use super::{clock, runs};
use crate::Result;
use crate::columns::{ReadyColumns, limit as bound};
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[FIND_READY, DROP_STALE, ENQUEUE, DEQUEUE];

// Pool by pool, so that each is read from the front of the index and no further than the limit.
const FIND_READY: &str = "-- find_ready
SELECT ready.run_id
FROM (SELECT DISTINCT pool FROM unnest($2::text[]) AS pool) AS pools
CROSS JOIN LATERAL (
    SELECT run_id, ready_at FROM run_ready
    WHERE tenant_id = $1 AND run_ready.pool = pools.pool
      AND ready_at <= (SELECT tenure_now())
    ORDER BY ready_at, run_id LIMIT $3
    -- Another dispatcher has what is locked; waiting for it would only find it gone.
    FOR UPDATE SKIP LOCKED
) AS ready
ORDER BY ready.ready_at, ready.run_id LIMIT $3";

// Checked again here: a run that was only busy is still to be leased, and keeps its row.
const DROP_STALE: &str = "-- drop_stale
DELETE FROM run_ready
WHERE tenant_id = $1 AND run_id = ANY ($2)
  AND NOT EXISTS (SELECT 1 FROM runs
                  WHERE runs.tenant_id = run_ready.tenant_id AND runs.run_id = run_ready.run_id
                    AND runs.ready_at IS NOT NULL)";

pub(super) async fn lock_ready(
    db: &mut PgConnection,
    tenant: TenantId,
    pools: &[Name],
    limit: usize,
) -> Result<(Timestamp, Vec<Run>)> {
    let found = find_ready(db, tenant, pools, limit).await?;
    if found.is_empty() {
        return Ok((clock::now(db).await?, Vec::new()));
    }
    // Passing over busy runs here too: their owner may be waiting for the ready row locked above.
    let asked: Vec<_> = found.iter().map(|run| (tenant, RunId::new(*run))).collect();
    let (now, mut locked) = runs::lock_readable_rows(db, &asked).await?;
    locked.retain(|run| run.ready_at().is_some());
    if locked.len() < found.len() {
        let stale = locked.iter().map(|run| run.id.uuid()).collect::<Vec<_>>();
        let left: Vec<_> = found.iter().filter(|run| !stale.contains(run)).copied().collect();
        sqlx::query(DROP_STALE).bind(tenant.uuid()).bind(left).execute(db).await?;
    }
    locked.sort_by_key(|run| found.iter().position(|found| *found == run.id.uuid()));
    Ok((now, locked))
}

async fn find_ready(
    db: &mut PgConnection,
    tenant: TenantId,
    pools: &[Name],
    limit: usize,
) -> Result<Vec<Uuid>> {
    let query = sqlx::query(FIND_READY).bind(tenant.uuid());
    let query = query.bind(column(pools, Name::as_str)).bind(bound(limit));
    let rows = query.fetch_all(db).await?;
    rows.iter().map(|row| Reader::new("run_ready", row).id("run_id")).collect()
}

const ENQUEUE: &str = "-- enqueue
INSERT INTO run_ready (tenant_id, run_id, pool, ready_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[])
-- A stale row may still be there.
ON CONFLICT (tenant_id, run_id)
DO UPDATE SET pool = excluded.pool, ready_at = excluded.ready_at";

pub(super) async fn enqueue(db: &mut PgConnection, rows: &[ReadyColumns<'_>]) -> Result<()> {
    sqlx::query(ENQUEUE)
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.pool))
        .bind(column(rows, |row| Time(row.ready_at)))
        .execute(db)
        .await?;
    Ok(())
}

const DEQUEUE: &str = "-- dequeue
DELETE FROM run_ready USING unnest($1::uuid[], $2::uuid[]) AS gone (tenant_id, run_id)
WHERE run_ready.tenant_id = gone.tenant_id AND run_ready.run_id = gone.run_id";

pub(super) async fn dequeue(db: &mut PgConnection, rows: &[ReadyColumns<'_>]) -> Result<()> {
    sqlx::query(DEQUEUE)
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .execute(db)
        .await?;
    Ok(())
}
