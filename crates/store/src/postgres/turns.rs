//! Turns: which run of a concurrency key may go on.
//!
//! A row without a run is a key that somebody has locked and nobody has: without it there would be
//! nothing to lock.

use std::collections::{BTreeMap, HashMap};

use sqlx::{PgConnection, PgPool};
use tenure_core::{RunId, TenantId};

use crate::rows::Reader;
use crate::{Result, Turn};

use super::row::column;

pub(super) const STATEMENTS: &[&str] = &[FIND, TAKE, LOCK, NEXT, GIVE, FREE];

const FIND: &str = "-- find_turn
SELECT run_id FROM turns WHERE tenant_id = $1 AND concurrency_key = $2";

pub(super) async fn find(pool: &PgPool, tenant: TenantId, key: &str) -> Result<Option<RunId>> {
    let row = sqlx::query(FIND).bind(tenant.uuid()).bind(key).fetch_optional(pool).await?;
    let run = row.map(|row| Reader::new("turns", &row).id_if("run_id")).transpose()?;
    Ok(run.flatten().map(RunId::new))
}

// In one order for everybody, and with an update that changes nothing where the turn is taken: it
// locks the row, and answers with it as it is now.
const TAKE: &str = "-- take_turns
INSERT INTO turns (tenant_id, concurrency_key, run_id)
SELECT tenant_id, concurrency_key, run_id
FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS asked (tenant_id, concurrency_key, run_id)
ORDER BY tenant_id, concurrency_key COLLATE \"C\"
ON CONFLICT (tenant_id, concurrency_key)
DO UPDATE SET run_id = coalesce(turns.run_id, excluded.run_id)
RETURNING tenant_id, concurrency_key, run_id";

pub(super) async fn take(db: &mut PgConnection, turns: &[Turn]) -> Result<Vec<RunId>> {
    // Of equal keys the first.
    let mut asked = BTreeMap::new();
    for turn in turns {
        asked.entry((turn.tenant, turn.key.as_str())).or_insert(turn.run);
    }
    let asked: Vec<_> = asked.into_iter().collect();
    let rows = sqlx::query(TAKE)
        .bind(column(&asked, |((tenant, _), _)| tenant.uuid()))
        .bind(column(&asked, |((_, key), _)| *key))
        .bind(column(&asked, |(_, run)| run.uuid()))
        .fetch_all(db)
        .await?;
    let mut owners = HashMap::new();
    for row in &rows {
        let row = Reader::new("turns", row);
        let (tenant, run) = row.run_ref()?;
        owners.insert((tenant, row.text("concurrency_key")?), run);
    }
    let owner = |turn: &Turn| owners.get(&(turn.tenant, turn.key.clone())).copied();
    Ok(turns.iter().map(|turn| owner(turn).unwrap_or(turn.run)).collect())
}

const LOCK: &str = "-- lock_turn
INSERT INTO turns (tenant_id, concurrency_key, run_id) VALUES ($1, $2, NULL)
ON CONFLICT (tenant_id, concurrency_key) DO UPDATE SET run_id = turns.run_id
RETURNING run_id";

// A statement of its own: the one above does not see a run that came while it waited for the lock.
const NEXT: &str = "-- next_turn
SELECT run_id FROM runs
WHERE tenant_id = $1 AND concurrency_key = $2 AND ended_at IS NULL AND wait_reason = 'turn'
ORDER BY run_id LIMIT 1";

pub(super) async fn lock(
    db: &mut PgConnection,
    tenant: TenantId,
    key: &str,
) -> Result<(Option<RunId>, Option<RunId>)> {
    let row = sqlx::query(LOCK).bind(tenant.uuid()).bind(key).fetch_one(&mut *db).await?;
    let owner = Reader::new("turns", &row).id_if("run_id")?;
    let row = sqlx::query(NEXT).bind(tenant.uuid()).bind(key).fetch_optional(db).await?;
    let next = row.map(|row| Reader::new("runs", &row).id("run_id")).transpose()?;
    Ok((owner.map(RunId::new), next.map(RunId::new)))
}

const GIVE: &str = "-- give_turn
INSERT INTO turns (tenant_id, concurrency_key, run_id) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, concurrency_key) DO UPDATE SET run_id = excluded.run_id";

const FREE: &str = "-- free_turn
DELETE FROM turns WHERE tenant_id = $1 AND concurrency_key = $2";

pub(super) async fn set(
    db: &mut PgConnection,
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
