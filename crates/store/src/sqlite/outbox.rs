//! The outbox: messages between runs, posted with the change that causes them, taken by whoever
//! looks, dropped when their work is done.

use std::time::Duration;

use sqlx::SqliteConnection;
use tenure_core::{RunId, TenantId};

use crate::columns::{MessageColumns, int, limit as bound, micros};
use crate::error::conflict_if_taken;
use crate::rows::Reader;
use crate::{Posted, Result};

pub(super) const STATEMENTS: &[&str] = &[POST, TAKE, PUT_OFF, DROP];

const POST: &str = "-- post
INSERT INTO outbox (tenant_id, run_id, number, kind, content_type, encoding, payload, failure_code,
    failure_message, failure_retryable, detail, due_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now FROM tenure_clock";

pub(super) async fn post(db: &mut SqliteConnection, rows: &[MessageColumns<'_>]) -> Result<()> {
    for row in rows {
        sqlx::query(POST)
            .bind(row.tenant_id)
            .bind(row.run_id)
            .bind(row.number)
            .bind(row.kind)
            .bind(row.payload.content_type)
            .bind(row.payload.encoding)
            .bind(row.payload.data)
            .bind(row.failure.code)
            .bind(row.failure.message)
            .bind(row.failure.retryable)
            .bind(row.detail.as_str())
            .execute(&mut *db)
            .await
            .map_err(|error| conflict_if_taken(error, "a run has a message with that number"))?;
    }
    Ok(())
}

const TAKE: &str = "-- take_messages
SELECT tenant_id, run_id, number, kind, content_type, encoding, payload, failure_code,
    failure_message, failure_retryable, detail
FROM outbox
WHERE due_at <= (SELECT now FROM tenure_clock)
  AND NOT (kind = 'end_children' AND EXISTS (
      SELECT 1 FROM outbox AS earlier
      WHERE earlier.tenant_id = outbox.tenant_id AND earlier.run_id = outbox.run_id
        AND earlier.number < outbox.number AND earlier.kind = 'call'))
ORDER BY due_at, tenant_id, run_id, number LIMIT $1";

// Those that cannot be read as well, or they would be in the way of the others.
const PUT_OFF: &str = "-- put_off
UPDATE outbox SET due_at = (SELECT now FROM tenure_clock) + $4
WHERE tenant_id = $1 AND run_id = $2 AND number = $3";

pub(super) async fn take(
    db: &mut SqliteConnection,
    limit: usize,
    retry: Duration,
) -> Result<Vec<Posted>> {
    let mut taken = Vec::new();
    for row in &sqlx::query(TAKE).bind(bound(limit)).fetch_all(&mut *db).await? {
        let row = Reader::new("outbox", row);
        let (tenant, run) = row.run_ref()?;
        let query = sqlx::query(PUT_OFF).bind(tenant.uuid()).bind(run.uuid());
        query.bind(row.int("number")?).bind(micros(retry)).execute(&mut *db).await?;
        taken.extend(row.posted_if_readable());
    }
    Ok(taken)
}

const DROP: &str = "-- drop_message
DELETE FROM outbox WHERE tenant_id = $1 AND run_id = $2 AND number = $3";

pub(super) async fn drop(
    db: &mut SqliteConnection,
    messages: &[(TenantId, RunId, u64)],
) -> Result<()> {
    for (tenant, run, number) in messages {
        let query = sqlx::query(DROP).bind(tenant.uuid()).bind(run.uuid()).bind(int(*number));
        query.execute(&mut *db).await?;
    }
    Ok(())
}
