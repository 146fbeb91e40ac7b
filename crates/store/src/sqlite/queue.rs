//! The queue: which runs of a pool are ready.

use sqlx::SqliteConnection;
use tenure_core::{Name, Run, RunId, TenantId, Timestamp};
use uuid::Uuid;

use super::row::{micros, pools as words};
use super::{clock, runs};
use crate::columns::{ReadyColumns, limit as bound};
use crate::rows::Reader;
use crate::{Result, StoreError};

pub(super) const STATEMENTS: &[&str] = &[FIND_READY, ENQUEUE, DEQUEUE];

const FIND_READY: &str = "-- find_ready
SELECT tenant_id, run_id FROM run_ready
WHERE tenant_id = $1 AND pool IN (SELECT value FROM json_each($2))
  AND ready_at <= (SELECT now FROM tenure_clock)
ORDER BY ready_at, run_id LIMIT $3";

pub(super) async fn lock_ready(
    db: &mut SqliteConnection,
    tenant: TenantId,
    pools: &[Name],
    limit: usize,
) -> Result<(Timestamp, Vec<Run>)> {
    let mut locked = Vec::new();
    for run in find_ready(db, tenant, pools, limit).await? {
        match runs::lock_row(db, tenant, RunId::new(run)).await {
            Ok(Some(run)) if run.ready_at().is_some() => locked.push(run),
            // The row is stale.
            Ok(Some(_) | None) => dequeue_one(db, tenant.uuid(), run).await?,
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "passing over a run");
            }
            Err(error) => return Err(error),
        }
    }
    Ok((clock::now(db).await?, locked))
}

async fn find_ready(
    db: &mut SqliteConnection,
    tenant: TenantId,
    pools: &[Name],
    limit: usize,
) -> Result<Vec<Uuid>> {
    let query = sqlx::query(FIND_READY).bind(tenant.uuid());
    let rows = query.bind(words(pools)).bind(bound(limit)).fetch_all(db).await?;
    rows.iter().map(|row| Reader::new("run_ready", row).id("run_id")).collect()
}

const ENQUEUE: &str = "-- enqueue
INSERT INTO run_ready (tenant_id, run_id, pool, ready_at) VALUES ($1, $2, $3, $4)
-- A stale row may still be there.
ON CONFLICT (tenant_id, run_id)
DO UPDATE SET pool = excluded.pool, ready_at = excluded.ready_at";

pub(super) async fn enqueue(db: &mut SqliteConnection, rows: &[ReadyColumns<'_>]) -> Result<()> {
    for row in rows {
        sqlx::query(ENQUEUE)
            .bind(row.tenant_id)
            .bind(row.run_id)
            .bind(row.pool)
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
