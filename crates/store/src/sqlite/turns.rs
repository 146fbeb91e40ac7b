//! Turns: which run of a concurrency key may go on.
//!
//! The columns are those of PostgreSQL, where a row without a run is a key that somebody has locked
//! and nobody has. Here the write lock does.

use sqlx::{SqliteConnection, SqliteExecutor};
use tenure_core::{RunId, TenantId};

use crate::rows::Reader;
use crate::{Result, Turn};

pub(super) const STATEMENTS: &[&str] = &[FIND, TAKE, NEXT, GIVE, FREE];

const FIND: &str = "-- find_turn
SELECT run_id FROM turns WHERE tenant_id = $1 AND concurrency_key = $2";

pub(super) async fn find(
    db: impl SqliteExecutor<'_>,
    tenant: TenantId,
    key: &str,
) -> Result<Option<RunId>> {
    let row = sqlx::query(FIND).bind(tenant.uuid()).bind(key).fetch_optional(db).await?;
    let run = row.map(|row| Reader::new("turns", &row).id_if("run_id")).transpose()?;
    Ok(run.flatten().map(RunId::new))
}

// With an update that changes nothing where the turn is taken, so that it is answered.
const TAKE: &str = "-- take_turn
INSERT INTO turns (tenant_id, concurrency_key, run_id) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, concurrency_key)
DO UPDATE SET run_id = coalesce(turns.run_id, excluded.run_id)
RETURNING run_id";

pub(super) async fn take(db: &mut SqliteConnection, turns: &[Turn]) -> Result<Vec<RunId>> {
    let mut owners = Vec::with_capacity(turns.len());
    for turn in turns {
        let query = sqlx::query(TAKE).bind(turn.tenant.uuid()).bind(&turn.key);
        let row = query.bind(turn.run.uuid()).fetch_one(&mut *db).await?;
        owners.push(RunId::new(Reader::new("turns", &row).id("run_id")?));
    }
    Ok(owners)
}

const NEXT: &str = "-- next_turn
SELECT run_id FROM runs
WHERE tenant_id = $1 AND concurrency_key = $2 AND ended_at IS NULL AND wait_reason = 'turn'
ORDER BY run_id LIMIT 1";

pub(super) async fn lock(
    db: &mut SqliteConnection,
    tenant: TenantId,
    key: &str,
) -> Result<(Option<RunId>, Option<RunId>)> {
    let owner = find(&mut *db, tenant, key).await?;
    let row = sqlx::query(NEXT).bind(tenant.uuid()).bind(key).fetch_optional(db).await?;
    let next = row.map(|row| Reader::new("runs", &row).id("run_id")).transpose()?;
    Ok((owner, next.map(RunId::new)))
}

const GIVE: &str = "-- give_turn
INSERT INTO turns (tenant_id, concurrency_key, run_id) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, concurrency_key) DO UPDATE SET run_id = excluded.run_id";

const FREE: &str = "-- free_turn
DELETE FROM turns WHERE tenant_id = $1 AND concurrency_key = $2";

pub(super) async fn set(
    db: &mut SqliteConnection,
    tenant: TenantId,
    key: &str,
    run: Option<RunId>,
) -> Result<()> {
    let query = match run {
        Some(run) => sqlx::query(GIVE).bind(tenant.uuid()).bind(key).bind(run.uuid()),
        None => sqlx::query(FREE).bind(tenant.uuid()).bind(key),
    };
    query.execute(db).await?;
    Ok(())
}
