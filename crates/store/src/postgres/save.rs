//! Saving transitions: one statement per table, however many runs there are.

use sqlx::PgConnection;
use tenure_core::Transition;

use super::row::{Time, column, times};
use super::{inbox, interrupts, journal, outbox, queue};
use crate::columns::{Changes, InputColumns, RunColumns};
use crate::error::conflict_if_taken;
use crate::{Result, StoreError};

pub(super) const STATEMENTS: &[&str] = &[INSERT_RUNS, UPDATE_RUNS, INSERT_INPUTS];

pub(super) async fn save(db: &mut PgConnection, transitions: &[Transition]) -> Result<()> {
    let changes = Changes::of(transitions);
    if !changes.created.is_empty() {
        insert_runs(db, &changes.created).await?;
    }
    if !changes.updated.is_empty() {
        update_runs(db, &changes.updated).await?;
    }
    if !changes.inputs.is_empty() {
        insert_inputs(db, &changes.inputs).await?;
    }
    if !changes.entries.is_empty() {
        journal::append(db, &changes.entries).await?;
    }
    if !changes.received.is_empty() {
        inbox::receive(db, &changes.received).await?;
    }
    interrupts::save(db, &changes).await?;
    if !changes.posted.is_empty() {
        outbox::post(db, &changes.posted).await?;
    }
    if !changes.enqueued.is_empty() {
        queue::enqueue(db, &changes.enqueued).await?;
    }
    if !changes.dequeued.is_empty() {
        queue::dequeue(db, &changes.dequeued).await?;
    }
    Ok(())
}

const INSERT_RUNS: &str = "-- insert_runs
INSERT INTO runs (tenant_id, run_id, state, epoch, next_seq, inbox, revision, ready_at, lease_id,
    lease_worker, lease_until, lease_started, wait_reason, wait_on, output_type, output_encoding,
    output, failure_code, failure_message, failure_retryable, ended_at, request, steer_actor,
    steer_reason, cancel_force_at, last_commit, attempts, stalled, offers, retried, priority,
    children, interrupts, posted, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
    cost_micros, updated_at, agent_id, version, pool, max_attempts, retry_limit,
    retry_backoff_micros, retry_max_backoff_micros, start_at, deadline, concurrency_key,
    parent_run, parent_key, detached, depth, check_run, created_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
    $7::bigint[], $8::timestamptz[], $9::uuid[], $10::uuid[], $11::timestamptz[], $12::boolean[],
    $13::text[], $14::text[], $15::text[], $16::text[], $17::bytea[], $18::text[], $19::text[],
    $20::boolean[], $21::timestamptz[], $22::text[], $23::text[], $24::text[], $25::timestamptz[],
    $26::bytea[], $27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[], $31::bigint[],
    $32::bigint[], $33::bigint[], $34::bigint[], $35::bigint[], $36::bigint[], $37::bigint[],
    $38::bigint[], $39::bigint[], $40::timestamptz[], $41::uuid[], $42::bigint[], $43::text[],
    $44::bigint[], $45::bigint[], $46::bigint[], $47::bigint[], $48::timestamptz[],
    $49::timestamptz[], $50::text[], $51::uuid[], $52::text[], $53::boolean[], $54::bigint[],
    $55::uuid[], $56::timestamptz[])";

async fn insert_runs(db: &mut PgConnection, rows: &[RunColumns<'_>]) -> Result<()> {
    given(changing(sqlx::query(INSERT_RUNS), rows), rows)
        .execute(db)
        .await
        .map_err(|error| conflict_if_taken(error, "a new run has the id of another"))?;
    Ok(())
}

// The revision is the second guard beside the row lock.
const UPDATE_RUNS: &str = "-- update_runs
UPDATE runs SET state = new.state, epoch = new.epoch, next_seq = new.next_seq, inbox = new.inbox,
    revision = new.revision, ready_at = new.ready_at, lease_id = new.lease_id,
    lease_worker = new.lease_worker, lease_until = new.lease_until,
    lease_started = new.lease_started, wait_reason = new.wait_reason, wait_on = new.wait_on,
    output_type = new.output_type, output_encoding = new.output_encoding, output = new.output,
    failure_code = new.failure_code, failure_message = new.failure_message,
    failure_retryable = new.failure_retryable, ended_at = new.ended_at, request = new.request,
    steer_actor = new.steer_actor, steer_reason = new.steer_reason,
    cancel_force_at = new.cancel_force_at, last_commit = new.last_commit, attempts = new.attempts,
    stalled = new.stalled, offers = new.offers, retried = new.retried, priority = new.priority,
    children = new.children, interrupts = new.interrupts, posted = new.posted,
    input_tokens = new.input_tokens, output_tokens = new.output_tokens,
    cached_tokens = new.cached_tokens, reasoning_tokens = new.reasoning_tokens,
    cost_micros = new.cost_micros, updated_at = new.updated_at
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
    $7::bigint[], $8::timestamptz[], $9::uuid[], $10::uuid[], $11::timestamptz[], $12::boolean[],
    $13::text[], $14::text[], $15::text[], $16::text[], $17::bytea[], $18::text[], $19::text[],
    $20::boolean[], $21::timestamptz[], $22::text[], $23::text[], $24::text[], $25::timestamptz[],
    $26::bytea[], $27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[], $31::bigint[],
    $32::bigint[], $33::bigint[], $34::bigint[], $35::bigint[], $36::bigint[], $37::bigint[],
    $38::bigint[], $39::bigint[], $40::timestamptz[], $41::bigint[])
    AS new (tenant_id, run_id, state, epoch, next_seq, inbox, revision, ready_at, lease_id,
    lease_worker, lease_until, lease_started, wait_reason, wait_on, output_type, output_encoding,
    output, failure_code, failure_message, failure_retryable, ended_at, request, steer_actor,
    steer_reason, cancel_force_at, last_commit, attempts, stalled, offers, retried, priority,
    children, interrupts, posted, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
    cost_micros, updated_at, before)
WHERE runs.tenant_id = new.tenant_id AND runs.run_id = new.run_id AND runs.revision = new.before";

async fn update_runs(db: &mut PgConnection, rows: &[RunColumns<'_>]) -> Result<()> {
    let query = changing(sqlx::query(UPDATE_RUNS), rows);
    let done = query.bind(column(rows, |row| row.before)).execute(db).await?;
    let (updated, asked) = (done.rows_affected(), rows.len());
    if updated == asked as u64 {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "{updated} of {asked} runs have the revision that their transition started from"
    )))
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Binds the key of the runs and every column that may change.
fn changing<'q>(query: Query<'q>, rows: &'q [RunColumns<'q>]) -> Query<'q> {
    query
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.state))
        .bind(column(rows, |row| row.epoch))
        .bind(column(rows, |row| row.next_seq))
        .bind(column(rows, |row| row.inbox))
        .bind(column(rows, |row| row.revision))
        .bind(times(rows, |row| row.ready_at))
        .bind(column(rows, |row| row.lease_id))
        .bind(column(rows, |row| row.lease_worker))
        .bind(times(rows, |row| row.lease_until))
        .bind(column(rows, |row| row.lease_started))
        .bind(column(rows, |row| row.wait_reason))
        .bind(column(rows, |row| row.wait_on.as_deref()))
        .bind(column(rows, |row| row.output.content_type))
        .bind(column(rows, |row| row.output.encoding))
        .bind(column(rows, |row| row.output.data))
        .bind(column(rows, |row| row.failure.code))
        .bind(column(rows, |row| row.failure.message))
        .bind(column(rows, |row| row.failure.retryable))
        .bind(times(rows, |row| row.ended_at))
        .bind(column(rows, |row| row.request))
        .bind(column(rows, |row| row.steer_actor))
        .bind(column(rows, |row| row.steer_reason))
        .bind(times(rows, |row| row.cancel_force_at))
        .bind(column(rows, |row| row.last_commit))
        .bind(column(rows, |row| row.attempts))
        .bind(column(rows, |row| row.stalled))
        .bind(column(rows, |row| row.offers))
        .bind(column(rows, |row| row.retried))
        .bind(column(rows, |row| row.priority))
        .bind(column(rows, |row| row.children))
        .bind(column(rows, |row| row.interrupts))
        .bind(column(rows, |row| row.posted))
        .bind(column(rows, |row| row.usage.input_tokens))
        .bind(column(rows, |row| row.usage.output_tokens))
        .bind(column(rows, |row| row.usage.cached_tokens))
        .bind(column(rows, |row| row.usage.reasoning_tokens))
        .bind(column(rows, |row| row.usage.cost_micros))
        .bind(column(rows, |row| Time(row.updated_at)))
}

/// Binds the columns that stay as they were created.
fn given<'q>(query: Query<'q>, rows: &'q [RunColumns<'q>]) -> Query<'q> {
    query
        .bind(column(rows, |row| row.agent_id))
        .bind(column(rows, |row| row.version))
        .bind(column(rows, |row| row.pool))
        .bind(column(rows, |row| row.max_attempts))
        .bind(column(rows, |row| row.retry_limit))
        .bind(column(rows, |row| row.retry_backoff_micros))
        .bind(column(rows, |row| row.retry_max_backoff_micros))
        .bind(column(rows, |row| Time(row.start_at)))
        .bind(times(rows, |row| row.deadline))
        .bind(column(rows, |row| row.concurrency_key))
        .bind(column(rows, |row| row.parent_run))
        .bind(column(rows, |row| row.parent_key))
        .bind(column(rows, |row| row.detached))
        .bind(column(rows, |row| row.depth))
        .bind(column(rows, |row| row.check_run))
        .bind(column(rows, |row| Time(row.created_at)))
}

const INSERT_INPUTS: &str = "-- insert_inputs
INSERT INTO run_inputs (tenant_id, run_id, content_type, encoding, payload, labels)
SELECT tenant_id, run_id, content_type, encoding, payload, labels::jsonb
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::text[])
     AS new (tenant_id, run_id, content_type, encoding, payload, labels)";

async fn insert_inputs(db: &mut PgConnection, rows: &[InputColumns<'_>]) -> Result<()> {
    sqlx::query(INSERT_INPUTS)
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.payload.content_type))
        .bind(column(rows, |row| row.payload.encoding))
        .bind(column(rows, |row| row.payload.data))
        .bind(column(rows, |row| row.labels.as_str()))
        .execute(db)
        .await
        .map_err(|error| conflict_if_taken(error, "a new run has an input already"))?;
    Ok(())
}
