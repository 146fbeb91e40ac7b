//! The journal: appending and reading. Nothing changes it.

use sqlx::{PgConnection, PgPool};
use tenure_core::{Entry, RunId, TenantId};

use super::row::{Time, column};
use crate::Result;
use crate::columns::{EntryColumns, int, limit as bound};
use crate::error::conflict_if_taken;
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[READ, APPEND];

// The page's end is found by the sizes alone, which the database knows without fetching a payload:
// a thousand full ones are never in memory at once. The first entry always fits, because nothing
// stands before it.
const READ: &str = "-- read_journal
SELECT tenant_id, run_id, seq, epoch, at, key, kind, status, content_type, encoding, payload,
       failure_code, failure_message, failure_retryable, input, attempt, duration_micros, model,
       input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_micros
FROM journal
WHERE tenant_id = $1 AND run_id = $2 AND seq > $3 AND seq <= (
    SELECT max(seq)
    FROM (SELECT seq, sum(size) OVER (ORDER BY seq) - size AS size_before
          FROM (SELECT seq, coalesce(octet_length(payload), octet_length(failure_message), 0)
                             AS size
                FROM journal
                WHERE tenant_id = $1 AND run_id = $2 AND seq > $3
                ORDER BY seq LIMIT $4) AS page) AS sized
    WHERE size_before <= $5)
ORDER BY seq";

pub(super) async fn read(
    pool: &PgPool,
    tenant: TenantId,
    run: RunId,
    after: u64,
    limit: usize,
    max_bytes: usize,
) -> Result<Vec<Entry>> {
    let rows = sqlx::query(READ)
        .bind(tenant.uuid())
        .bind(run.uuid())
        .bind(int(after))
        .bind(bound(limit))
        .bind(bound(max_bytes))
        .fetch_all(pool)
        .await?;
    rows.iter().map(|row| Reader::new("journal", row).entry()).collect()
}

const APPEND: &str = "-- append
INSERT INTO journal (tenant_id, run_id, seq, epoch, at, key, kind, status, content_type, encoding,
    payload, failure_code, failure_message, failure_retryable, input, attempt, duration_micros,
    model, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_micros)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::timestamptz[],
    $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bytea[], $12::text[],
    $13::text[], $14::boolean[], $15::bytea[], $16::bigint[], $17::bigint[], $18::text[],
    $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[])";

pub(super) async fn append(db: &mut PgConnection, rows: &[EntryColumns<'_>]) -> Result<()> {
    sqlx::query(APPEND)
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.seq))
        .bind(column(rows, |row| row.epoch))
        .bind(column(rows, |row| Time(row.at)))
        .bind(column(rows, |row| row.key))
        .bind(column(rows, |row| row.kind))
        .bind(column(rows, |row| row.status))
        .bind(column(rows, |row| row.payload.content_type))
        .bind(column(rows, |row| row.payload.encoding))
        .bind(column(rows, |row| row.payload.data))
        .bind(column(rows, |row| row.failure.code))
        .bind(column(rows, |row| row.failure.message))
        .bind(column(rows, |row| row.failure.retryable))
        .bind(column(rows, |row| row.input))
        .bind(column(rows, |row| row.attempt))
        .bind(column(rows, |row| row.duration_micros))
        .bind(column(rows, |row| row.usage.model))
        .bind(column(rows, |row| row.usage.input_tokens))
        .bind(column(rows, |row| row.usage.output_tokens))
        .bind(column(rows, |row| row.usage.cached_tokens))
        .bind(column(rows, |row| row.usage.reasoning_tokens))
        .bind(column(rows, |row| row.usage.cost_micros))
        .execute(db)
        .await
        .map_err(|error| conflict_if_taken(error, "a journal has an entry with that seq"))?;
    Ok(())
}
