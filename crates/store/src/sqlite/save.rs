//! Saving transitions: table by table.

use std::time::Instant;

use sqlx::SqliteConnection;
use tenure_core::Transition;

use super::row::micros;
use super::{allowances, clock, inbox, interrupts, journal, keys, outbox, queue};
use crate::columns::{Changes, InputColumns, RunColumns};
use crate::error::conflict_if_taken;
use crate::heard::Heard;
use crate::rows::Reader;
use crate::{AHEAD, BEHIND, Known, Result, SeenAgent, StoreError};

pub(super) const STATEMENTS: &[&str] = &[INSERT_RUN, UPDATE_RUN, INSERT_INPUT, SEEN_AGENT];

pub(super) async fn save(db: &mut SqliteConnection, transitions: &[Transition]) -> Result<()> {
    let changes = Changes::of(transitions);
    if !changes.created.is_empty() {
        insert_runs(db, &changes.created).await?;
    }
    for updated in [&changes.updated, &changes.advanced] {
        if !updated.is_empty() {
            update_runs(db, updated).await?;
        }
    }
    if !changes.inputs.is_empty() {
        insert_inputs(db, &changes.inputs).await?;
    }
    for entries in [&changes.entries, &changes.results] {
        if !entries.is_empty() {
            journal::append(db, entries).await?;
        }
    }
    allowances::spend(db, &changes.spent).await?;
    allowances::release(db, &changes.released).await?;
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

/// In a transaction that is committed if this says so, and has no effect if it does not.
pub(super) async fn save_known(
    db: &mut SqliteConnection,
    known: &Known,
    heard: &Heard,
) -> Result<bool> {
    let asked = Instant::now();
    let now = clock::now(&mut *db).await?;
    heard.hear(now, asked);
    if known.at + BEHIND < now || known.at > now + AHEAD {
        heard.forget();
        return Ok(false);
    }
    for seen in &known.agents {
        if !is_as_seen(db, seen).await? {
            return Ok(false);
        }
    }
    if keys::reserve(db, &known.keys).await?.iter().any(Option::is_some) {
        return Ok(false);
    }
    match save(db, &known.transitions).await {
        Err(StoreError::Conflict(_)) => Ok(false),
        saved => saved.map(|()| true),
    }
}

const SEEN_AGENT: &str = "-- seen_agent
SELECT count(*) AS seen
FROM agents JOIN tenants USING (tenant_id)
WHERE tenant_id = $1 AND agent_id = $2 AND latest = $3
  AND (NOT $4 OR agents.max_running IS NULL AND tenants.max_running IS NULL)";

async fn is_as_seen(db: &mut SqliteConnection, seen: &SeenAgent) -> Result<bool> {
    let row = sqlx::query(SEEN_AGENT)
        .bind(seen.tenant.uuid())
        .bind(seen.agent.uuid())
        .bind(i64::from(seen.latest))
        .bind(seen.uncapped)
        .fetch_one(db)
        .await?;
    Ok(Reader::new("agents", &row).count("seen")? == 1)
}

const INSERT_RUN: &str = "-- insert_run
INSERT INTO runs (tenant_id, run_id, state, epoch, next_seq, inbox, revision, ready_at, lease_id,
    lease_worker, lease_until, lease_started, wait_reason, wait_on, output_type, output_encoding,
    output, failure_code, failure_message, failure_retryable, ended_at, request, steer_actor,
    steer_reason, cancel_force_at, last_commit, attempts, stalled, offers, retried, priority,
    children, interrupts, posted, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
    cost_micros, tool_calls, called, updated_at, agent_id, version, pool, max_attempts, retry_limit,
    retry_backoff_micros, retry_max_backoff_micros, start_at, deadline, concurrency_key,
    parent_run, parent_key, detached, depth, check_run, budget, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39,
    $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55, $56,
    $57, $58, $59)";

async fn insert_runs(db: &mut SqliteConnection, rows: &[RunColumns<'_>]) -> Result<()> {
    for row in rows {
        given(changing(sqlx::query(INSERT_RUN), row), row)
            .execute(&mut *db)
            .await
            .map_err(|error| conflict_if_taken(error, "a new run has the id of another"))?;
    }
    Ok(())
}

// The revision is the second guard beside the write lock.
const UPDATE_RUN: &str = "-- update_run
UPDATE runs SET state = $3, epoch = $4, next_seq = $5, inbox = $6, revision = $7, ready_at = $8,
    lease_id = $9, lease_worker = $10, lease_until = $11, lease_started = $12, wait_reason = $13,
    wait_on = $14, output_type = $15, output_encoding = $16, output = $17, failure_code = $18,
    failure_message = $19, failure_retryable = $20, ended_at = $21, request = $22,
    steer_actor = $23, steer_reason = $24, cancel_force_at = $25, last_commit = $26,
    attempts = $27, stalled = $28, offers = $29, retried = $30, priority = $31, children = $32,
    interrupts = $33, posted = $34, input_tokens = $35, output_tokens = $36, cached_tokens = $37,
    reasoning_tokens = $38, cost_micros = $39, tool_calls = $40, called = $41, updated_at = $42
WHERE tenant_id = $1 AND run_id = $2 AND revision = $43";

async fn update_runs(db: &mut SqliteConnection, rows: &[RunColumns<'_>]) -> Result<()> {
    let (mut updated, asked) = (0, rows.len());
    for row in rows {
        let query = changing(sqlx::query(UPDATE_RUN), row).bind(row.before);
        updated += query.execute(&mut *db).await?.rows_affected();
    }
    if updated == asked as u64 {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "{updated} of {asked} runs have the revision that their transition started from"
    )))
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// Binds the key of the run and every column that may change.
fn changing<'q>(query: Query<'q>, row: &'q RunColumns<'q>) -> Query<'q> {
    query
        .bind(row.tenant_id)
        .bind(row.run_id)
        .bind(row.state)
        .bind(row.epoch)
        .bind(row.next_seq)
        .bind(row.inbox)
        .bind(row.revision)
        .bind(row.ready_at.map(micros))
        .bind(row.lease_id)
        .bind(row.lease_worker)
        .bind(row.lease_until.map(micros))
        .bind(row.lease_started)
        .bind(row.wait_reason)
        .bind(row.wait_on.as_deref())
        .bind(row.output.content_type)
        .bind(row.output.encoding)
        .bind(row.output.data)
        .bind(row.failure.code)
        .bind(row.failure.message)
        .bind(row.failure.retryable)
        .bind(row.ended_at.map(micros))
        .bind(row.request)
        .bind(row.steer_actor)
        .bind(row.steer_reason)
        .bind(row.cancel_force_at.map(micros))
        .bind(row.last_commit)
        .bind(row.attempts)
        .bind(row.stalled)
        .bind(row.offers)
        .bind(row.retried)
        .bind(row.priority)
        .bind(row.children)
        .bind(row.interrupts)
        .bind(row.posted)
        .bind(row.usage.input_tokens)
        .bind(row.usage.output_tokens)
        .bind(row.usage.cached_tokens)
        .bind(row.usage.reasoning_tokens)
        .bind(row.usage.cost_micros)
        .bind(row.usage.tool_calls)
        .bind(row.called.as_deref())
        .bind(micros(row.updated_at))
}

/// Binds the columns that stay as they were created.
fn given<'q>(query: Query<'q>, row: &'q RunColumns<'q>) -> Query<'q> {
    query
        .bind(row.agent_id)
        .bind(row.version)
        .bind(row.pool)
        .bind(row.max_attempts)
        .bind(row.retry_limit)
        .bind(row.retry_backoff_micros)
        .bind(row.retry_max_backoff_micros)
        .bind(micros(row.start_at))
        .bind(row.deadline.map(micros))
        .bind(row.concurrency_key)
        .bind(row.parent_run)
        .bind(row.parent_key)
        .bind(row.detached)
        .bind(row.depth)
        .bind(row.check_run)
        .bind(row.budget.as_deref())
        .bind(micros(row.created_at))
}

const INSERT_INPUT: &str = "-- insert_input
INSERT INTO run_inputs (tenant_id, run_id, content_type, encoding, payload, labels)
VALUES ($1, $2, $3, $4, $5, $6)";

async fn insert_inputs(db: &mut SqliteConnection, rows: &[InputColumns<'_>]) -> Result<()> {
    for row in rows {
        sqlx::query(INSERT_INPUT)
            .bind(row.tenant_id)
            .bind(row.run_id)
            .bind(row.payload.content_type)
            .bind(row.payload.encoding)
            .bind(row.payload.data)
            .bind(row.labels.as_str())
            .execute(&mut *db)
            .await
            .map_err(|error| conflict_if_taken(error, "a new run has an input already"))?;
    }
    Ok(())
}
