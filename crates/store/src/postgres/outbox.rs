//! The outbox: messages between runs, posted with the change that causes them, taken by whoever
//! looks, dropped when their work is done.

use std::time::Duration;

use sqlx::PgConnection;
use tenure_core::{RunId, TenantId};

use super::row::column;
use crate::columns::{MessageColumns, int, limit as bound, micros};
use crate::error::conflict_if_taken;
use crate::rows::Reader;
use crate::{Posted, Result};

pub(super) const STATEMENTS: &[&str] = &[POST, TAKE, DROP];

const POST: &str = "-- post
INSERT INTO outbox (tenant_id, run_id, number, kind, content_type, encoding, payload, failure_code,
    failure_message, failure_retryable, detail, due_at)
SELECT tenant_id, run_id, number, kind, content_type, encoding, payload, failure_code,
    failure_message, failure_retryable, detail::jsonb, (SELECT tenure_now())
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bytea[],
    $8::text[], $9::text[], $10::boolean[], $11::text[])
    AS new (tenant_id, run_id, number, kind, content_type, encoding, payload, failure_code,
    failure_message, failure_retryable, detail)";

pub(super) async fn post(db: &mut PgConnection, rows: &[MessageColumns<'_>]) -> Result<()> {
    sqlx::query(POST)
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.number))
        .bind(column(rows, |row| row.kind))
        .bind(column(rows, |row| row.payload.content_type))
        .bind(column(rows, |row| row.payload.encoding))
        .bind(column(rows, |row| row.payload.data))
        .bind(column(rows, |row| row.failure.code))
        .bind(column(rows, |row| row.failure.message))
        .bind(column(rows, |row| row.failure.retryable))
        .bind(column(rows, |row| row.detail.as_str()))
        .execute(db)
        .await
        .map_err(|error| conflict_if_taken(error, "a run has a message with that number"))?;
    Ok(())
}

// MATERIALIZED: what is chosen with SKIP LOCKED is chosen once, whatever the plan. The order of an
// UPDATE's answer is nobody's, so the rows say where they stood.
const TAKE: &str = "-- take_messages
WITH due AS MATERIALIZED (
    SELECT tenant_id, run_id, number, due_at FROM outbox
    WHERE due_at <= (SELECT tenure_now())
      AND NOT (kind = 'end_children' AND EXISTS (
          SELECT 1 FROM outbox AS earlier
          WHERE earlier.tenant_id = outbox.tenant_id AND earlier.run_id = outbox.run_id
            AND earlier.number < outbox.number AND earlier.kind = 'call'))
    ORDER BY due_at, tenant_id, run_id, number LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox SET due_at = tenure_now() + $2 * INTERVAL '1 microsecond'
FROM due
WHERE outbox.tenant_id = due.tenant_id AND outbox.run_id = due.run_id
  AND outbox.number = due.number
RETURNING outbox.tenant_id, outbox.run_id, outbox.number, kind, content_type, encoding, payload,
    failure_code, failure_message, failure_retryable, detail::text AS detail,
    due.due_at AS was_due_at";

pub(super) async fn take(
    db: &mut PgConnection,
    limit: usize,
    retry: Duration,
) -> Result<Vec<Posted>> {
    let query = sqlx::query(TAKE).bind(bound(limit)).bind(micros(retry));
    let mut taken = Vec::new();
    for row in &query.fetch_all(db).await? {
        let row = Reader::new("outbox", row);
        let was_due_at = row.time("was_due_at")?;
        taken.extend(row.posted_if_readable().map(|posted| (was_due_at, posted)));
    }
    taken.sort_by_key(|(was_due_at, posted)| {
        (*was_due_at, posted.tenant, posted.run, posted.number)
    });
    Ok(taken.into_iter().map(|(_, posted)| posted).collect())
}

// Locked in one order first: of two that drop the same messages, one waits for the other.
const DROP: &str = "-- drop_messages
WITH gone AS MATERIALIZED (
    SELECT tenant_id, run_id, number
    FROM outbox JOIN unnest($1::uuid[], $2::uuid[], $3::bigint[])
         AS asked (tenant_id, run_id, number) USING (tenant_id, run_id, number)
    ORDER BY tenant_id, run_id, number
    FOR UPDATE OF outbox
)
DELETE FROM outbox USING gone
WHERE outbox.tenant_id = gone.tenant_id AND outbox.run_id = gone.run_id
  AND outbox.number = gone.number";

pub(super) async fn drop(db: &mut PgConnection, messages: &[(TenantId, RunId, u64)]) -> Result<()> {
    sqlx::query(DROP)
        .bind(column(messages, |(tenant, _, _)| tenant.uuid()))
        .bind(column(messages, |(_, run, _)| run.uuid()))
        .bind(column(messages, |(_, _, number)| int(*number)))
        .execute(db)
        .await?;
    Ok(())
}
