//! The journal: appending and reading. Nothing changes it.

use sqlx::{SqliteConnection, SqlitePool};
use tenure_core::{Entry, RunId, TenantId};

use super::row::micros;
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
    pool: &SqlitePool,
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
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
    $20, $21, $22, $23)";

pub(super) async fn append(db: &mut SqliteConnection, rows: &[EntryColumns<'_>]) -> Result<()> {
    for row in rows {
        sqlx::query(APPEND)
            .bind(row.tenant_id)
            .bind(row.run_id)
            .bind(row.seq)
            .bind(row.epoch)
            .bind(micros(row.at))
            .bind(row.key)
            .bind(row.kind)
            .bind(row.status)
            .bind(row.payload.content_type)
            .bind(row.payload.encoding)
            .bind(row.payload.data)
            .bind(row.failure.code)
            .bind(row.failure.message)
            .bind(row.failure.retryable)
            .bind(row.input)
            .bind(row.attempt)
            .bind(row.duration_micros)
            .bind(row.usage.model)
            .bind(row.usage.input_tokens)
            .bind(row.usage.output_tokens)
            .bind(row.usage.cached_tokens)
            .bind(row.usage.reasoning_tokens)
            .bind(row.usage.cost_micros)
            .execute(&mut *db)
            .await
            .map_err(|error| conflict_if_taken(error, "a journal has an entry with that seq"))?;
    }
    Ok(())
}
