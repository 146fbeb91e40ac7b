//! Idempotency keys: what was asked under them, and the runs that it led to.

use sqlx::SqliteConnection;

use crate::rows::Reader;
use crate::{Result, RunKey};

pub(super) const STATEMENTS: &[&str] = &[RESERVE_KEY, FIND_KEY];

const RESERVE_KEY: &str = "-- reserve_key
INSERT INTO run_keys (tenant_id, key, digest, run_id) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING";

const FIND_KEY: &str = "-- find_key
SELECT tenant_id, key, digest, run_id FROM run_keys WHERE tenant_id = $1 AND key = $2";

pub(super) async fn reserve(
    db: &mut SqliteConnection,
    keys: &[RunKey],
) -> Result<Vec<Option<RunKey>>> {
    let mut answer = Vec::with_capacity(keys.len());
    for key in keys {
        answer.push(reserve_one(db, key).await?);
    }
    Ok(answer)
}

async fn reserve_one(db: &mut SqliteConnection, key: &RunKey) -> Result<Option<RunKey>> {
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
