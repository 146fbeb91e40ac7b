//! The journal: appending, reading and copying. Nothing changes it.

use sqlx::{PgConnection, PgPool};
use tenure_core::{Entry, Key, RunId, TenantId};

use super::row::{Time, column};
use super::save::Query;
use super::statement::Part;
use crate::columns::{EntryColumns, int, limit as bound};
use crate::error::conflict_if_taken;
use crate::rows::Reader;
use crate::{Prefix, Result};

pub(super) const STATEMENTS: &[&str] = &[READ, FIRST_OF_KEY, COPY];

// The page's end is found by the sizes alone: a thousand full payloads are never in memory at once.
// The first entry always fits, because nothing stands before it.
const READ: &str = "-- read_journal
SELECT tenant_id, run_id, seq, epoch, at, key, kind, status, opening, content_type, encoding,
       payload, failure_code, failure_message, failure_retryable, actor, reason, input, attempt,
       duration_micros, model, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
       cost_micros, tool_calls
FROM journal
WHERE tenant_id = $1 AND run_id = $2 AND seq > $3 AND seq <= (
    SELECT max(seq)
    FROM (SELECT seq, sum(size) OVER (ORDER BY seq) - size AS size_before
          FROM (SELECT seq, size FROM journal
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

pub(super) const APPEND: Part = Part {
    name: "append",
    rows: "tenant_id uuid, run_id uuid, seq bigint, epoch bigint, at timestamptz, key text, \
           kind text, status text, opening text, content_type text, encoding text, payload bytea, \
           failure_code text, failure_message text, failure_retryable boolean, actor text, \
           reason text, size bigint, input bytea, attempt bigint, duration_micros bigint, \
           model text, input_tokens bigint, output_tokens bigint, cached_tokens bigint, \
           reasoning_tokens bigint, cost_micros bigint, tool_calls bigint",
    counts: false,
    sql: "-- append
INSERT INTO journal ({columns}) SELECT * FROM {rows} AS new",
};

pub(super) fn bind<'q>(query: Query<'q>, rows: &'q [EntryColumns<'q>]) -> Query<'q> {
    query
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.seq))
        .bind(column(rows, |row| row.epoch))
        .bind(column(rows, |row| Time(row.at)))
        .bind(column(rows, |row| row.key))
        .bind(column(rows, |row| row.kind))
        .bind(column(rows, |row| row.status.word))
        .bind(column(rows, |row| row.status.opening.as_deref()))
        .bind(column(rows, |row| row.status.payload.content_type))
        .bind(column(rows, |row| row.status.payload.encoding))
        .bind(column(rows, |row| row.status.payload.data))
        .bind(column(rows, |row| row.status.failure.code))
        .bind(column(rows, |row| row.status.failure.message))
        .bind(column(rows, |row| row.status.failure.retryable))
        .bind(column(rows, |row| row.status.actor))
        .bind(column(rows, |row| row.status.reason))
        .bind(column(rows, |row| row.size))
        .bind(column(rows, |row| row.input))
        .bind(column(rows, |row| row.attempt))
        .bind(column(rows, |row| row.duration_micros))
        .bind(column(rows, |row| row.usage.model))
        .bind(column(rows, |row| row.usage.input_tokens))
        .bind(column(rows, |row| row.usage.output_tokens))
        .bind(column(rows, |row| row.usage.cached_tokens))
        .bind(column(rows, |row| row.usage.reasoning_tokens))
        .bind(column(rows, |row| row.usage.cost_micros))
        .bind(column(rows, |row| row.usage.tool_calls))
}

pub(super) const APPEND_RESULTS: Part = Part {
    name: "append_results",
    rows: "tenant_id uuid, run_id uuid, seq bigint, epoch bigint, at timestamptz, key text, \
           kind text, content_type text, encoding text, payload bytea, size bigint, input bytea, \
           attempt bigint, duration_micros bigint",
    counts: false,
    sql: "-- append_results
INSERT INTO journal ({columns}, status) SELECT new.*, 'succeeded' FROM {rows} AS new",
};

pub(super) fn bind_results<'q>(query: Query<'q>, rows: &'q [EntryColumns<'q>]) -> Query<'q> {
    query
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.seq))
        .bind(column(rows, |row| row.epoch))
        .bind(column(rows, |row| Time(row.at)))
        .bind(column(rows, |row| row.key))
        .bind(column(rows, |row| row.kind))
        .bind(column(rows, |row| row.status.payload.content_type))
        .bind(column(rows, |row| row.status.payload.encoding))
        .bind(column(rows, |row| row.status.payload.data))
        .bind(column(rows, |row| row.size))
        .bind(column(rows, |row| row.input))
        .bind(column(rows, |row| row.attempt))
        .bind(column(rows, |row| row.duration_micros))
}

const FIRST_OF_KEY: &str = "-- first_of_key
SELECT min(seq) AS seq FROM journal WHERE tenant_id = $1 AND run_id = $2 AND key = $3";

/// The place where a copy stops: `None` if it is to stop at a key that the journal does not have.
async fn stop(
    db: &mut PgConnection,
    tenant: TenantId,
    run: RunId,
    before: Option<&Key>,
) -> Result<Option<i64>> {
    let Some(key) = before else { return Ok(Some(i64::MAX)) };
    let query = sqlx::query(FIRST_OF_KEY).bind(tenant.uuid()).bind(run.uuid());
    let row = query.bind(key.as_str()).fetch_one(db).await?;
    Reader::new("journal", &row).int_if("seq")
}

// Of the entries under one key only the last can be needed: a result stands for what opened it, a
// later one for those that were tried again, and what was opened last has no result. Payloads are
// not carried through the sorting.
const COPY: &str = "-- copy_journal
INSERT INTO journal (tenant_id, run_id, seq, epoch, at, key, kind, status, content_type, encoding,
    payload, failure_code, failure_message, failure_retryable, size, input, attempt,
    duration_micros, model, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
    cost_micros, tool_calls)
SELECT tenant_id, $3::uuid, kept.place, 0, at, key, kind, status, content_type, encoding, payload,
    failure_code, failure_message, failure_retryable, size, input, attempt, duration_micros, model,
    input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_micros, tool_calls
FROM journal JOIN (
    SELECT seq, row_number() OVER (ORDER BY seq) AS place
    FROM (SELECT seq, status, failure_code, failure_message,
                 row_number() OVER (PARTITION BY key ORDER BY seq DESC) AS age
          FROM journal
          WHERE tenant_id = $1 AND run_id = $2 AND status <> 'steered'
            AND (seq < $4 OR $5 AND kind = 'tool' AND status <> 'opened' AND key <> $6)
         ) AS ranged
    WHERE age = 1 AND status <> 'opened'
      AND NOT coalesce(status = 'failed' AND failure_code = $7 AND failure_message = $8, false)
) AS kept USING (seq)
WHERE tenant_id = $1 AND run_id = $2";

pub(super) async fn copy(
    db: &mut PgConnection,
    tenant: TenantId,
    from: RunId,
    to: RunId,
    prefix: &Prefix,
) -> Result<Option<u64>> {
    let Some(stop) = stop(db, tenant, from, prefix.before.as_ref()).await? else {
        return Ok(None);
    };
    let done = sqlx::query(COPY)
        .bind(tenant.uuid())
        .bind(from.uuid())
        .bind(to.uuid())
        .bind(stop)
        .bind(prefix.tools)
        .bind(prefix.before.as_ref().map_or("", Key::as_str))
        .bind(prefix.without.as_ref().map(|failure| failure.code.as_str()))
        .bind(prefix.without.as_ref().map(|failure| failure.message.as_str()))
        .execute(db)
        .await
        .map_err(|error| conflict_if_taken(error, "the copy's journal has entries already"))?;
    Ok(Some(done.rows_affected()))
}
