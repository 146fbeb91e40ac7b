//! Idempotency keys: what was asked under them, and the runs that it led to.

use std::collections::HashMap;

use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use tenure_core::TenantId;

use super::row::column;
use super::save::Query;
use super::statement::Part;
use crate::rows::Reader;
use crate::{Result, RunKey};

pub(super) const STATEMENTS: &[&str] = &[RESERVE_KEYS, FIND_KEYS];

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

pub(super) async fn reserve(db: &mut PgConnection, keys: &[RunKey]) -> Result<Vec<Option<RunKey>>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = bind(sqlx::query(RESERVE_KEYS), keys).fetch_all(&mut *db).await?;
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

// In the same order as above.
pub(super) const INSERT_KEYS: Part = Part {
    name: "insert_keys",
    rows: "tenant_id uuid, key text, digest bytea, run_id uuid",
    counts: false,
    sql: "-- insert_keys
INSERT INTO run_keys ({columns}) SELECT * FROM {rows} AS new
ORDER BY tenant_id, key COLLATE \"C\"",
};

pub(super) fn bind<'q>(query: Query<'q>, keys: &'q [RunKey]) -> Query<'q> {
    query
        .bind(column(keys, |key| key.tenant.uuid()))
        .bind(column(keys, |key| key.key.as_str()))
        .bind(column(keys, |key| &key.digest.as_bytes()[..]))
        .bind(column(keys, |key| key.run.uuid()))
}

fn by_key(rows: &[PgRow]) -> Result<HashMap<(TenantId, String), RunKey>> {
    let keyed = |row| {
        let key = Reader::new("run_keys", row).run_key()?;
        Ok(((key.tenant, key.key.clone()), key))
    };
    rows.iter().map(keyed).collect()
}
