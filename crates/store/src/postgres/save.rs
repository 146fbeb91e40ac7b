//! Saving transitions: one statement for the tables that every run writes, however many runs there
//! are, and one for each of the others.

use std::time::Instant;

use sqlx::postgres::PgArguments;
use sqlx::{PgConnection, Postgres};
use tenure_core::{Timestamp, Transition};

use super::row::{Time, column, times};
use super::statement::{Mask, Part};
use super::{allowances, inbox, interrupts, journal, keys, outbox, queue};
use crate::columns::{Changes, InputColumns, RunColumns};
use crate::error::conflict_if_taken;
use crate::heard::Heard;
use crate::rows::Reader;
use crate::{Known, Result, RunKey, SeenAgent, StoreError};

/// A statement whose parameters are being bound.
pub(super) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

pub(super) async fn save(db: &mut PgConnection, transitions: &[Transition]) -> Result<()> {
    let changes = Changes::of(transitions);
    let batch = Batch { changes: &changes, keys: &[], agents: &[], at: None };
    batch.execute(db).await.map_err(stale)?;
    if !changes.received.is_empty() {
        inbox::receive(db, &changes.received).await?;
    }
    interrupts::save(db, &changes).await?;
    if !changes.posted.is_empty() {
        outbox::post(db, &changes.posted).await?;
    }
    Ok(())
}

/// In a transaction of its own.
pub(super) async fn save_known(
    db: &mut PgConnection,
    known: &Known,
    heard: &Heard,
) -> Result<bool> {
    let changes = Changes::of(&known.transitions);
    let (keys, agents, at) = (&known.keys, &known.agents, Some(known.at));
    let asked = Instant::now();
    match (Batch { changes: &changes, keys, agents, at }).execute(db).await {
        Ok(Some(now)) => {
            heard.hear(now, asked);
            Ok(true)
        }
        Ok(None) => Ok(true),
        Err(error) => match sqlstate(&error).as_deref() {
            Some(OTHER_TIME) => {
                heard.forget();
                Ok(false)
            }
            Some(STALE | UNIQUE_VIOLATION | DEADLOCK | LOCK_TIMEOUT) => Ok(false),
            _ => Err(error.into()),
        },
    }
}

/// What `tenure_settle` says when something is not as it is expected to be.
const STALE: &str = "TN001";
/// What it says when the batch was decided at another time.
const OTHER_TIME: &str = "TN002";
const UNIQUE_VIOLATION: &str = "23505";
const DEADLOCK: &str = "40P01";
const LOCK_TIMEOUT: &str = "55P03";

fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(Into::into)
}

/// The row locks should have made this impossible: the revision is the second guard.
fn stale(error: sqlx::Error) -> StoreError {
    match sqlstate(&error).as_deref() {
        Some(STALE) => StoreError::Conflict(error.to_string()),
        _ => conflict_if_taken(error, "a run, an input or an entry is there already"),
    }
}

/// What goes into one statement.
struct Batch<'a> {
    changes: &'a Changes<'a>,
    keys: &'a [RunKey],
    agents: &'a [SeenAgent],
    /// When it was decided, if that is to be checked.
    at: Option<Timestamp>,
}

impl Batch<'_> {
    /// Writes it, if there is anything; the database's clock.
    async fn execute(&self, db: &mut PgConnection) -> Result<Option<Timestamp>, sqlx::Error> {
        let Changes { created, updated, advanced, inputs, .. } = self.changes;
        let Changes { entries, results, enqueued, dequeued, spent, released, .. } = self.changes;
        let mask = Mask::of([
            !created.is_empty(),
            !updated.is_empty(),
            !advanced.is_empty(),
            !inputs.is_empty(),
            !entries.is_empty(),
            !results.is_empty(),
            !enqueued.is_empty(),
            !dequeued.is_empty(),
            !self.keys.is_empty(),
            !self.agents.is_empty(),
            !spent.is_empty(),
            !released.is_empty(),
        ]);
        if mask.is_empty() {
            return Ok(None);
        }
        let mut query = sqlx::query(mask.sql());
        if !created.is_empty() {
            query = given(changing(query, created), created);
        }
        if !updated.is_empty() {
            query = changing(query, updated).bind(column(updated, |row| row.before));
        }
        if !advanced.is_empty() {
            query = advancing(query, advanced);
        }
        if !inputs.is_empty() {
            query = bind_inputs(query, inputs);
        }
        if !entries.is_empty() {
            query = journal::bind(query, entries);
        }
        if !results.is_empty() {
            query = journal::bind_results(query, results);
        }
        if !enqueued.is_empty() {
            query = queue::bind_enqueued(query, enqueued);
        }
        if !dequeued.is_empty() {
            query = queue::bind_dequeued(query, dequeued);
        }
        if !self.keys.is_empty() {
            query = keys::bind(query, self.keys);
        }
        if !self.agents.is_empty() {
            query = bind_agents(query, self.agents);
        }
        if !spent.is_empty() {
            query = allowances::bind_spent(query, spent);
        }
        if !released.is_empty() {
            query = allowances::bind_released(query, released);
        }
        let expected = updated.len() + advanced.len() + self.agents.len();
        let expected = i64::try_from(expected).unwrap_or(i64::MAX);
        let rows = query.bind(expected).bind(self.at.map(Time)).fetch_all(db).await?;
        Ok(rows.first().and_then(|row| Reader::new("tenure_settle", row).time("now").ok()))
    }
}

pub(super) const INSERT_RUNS: Part = Part {
    name: "insert_runs",
    rows: "tenant_id uuid, run_id uuid, state text, epoch bigint, next_seq bigint, inbox bigint, \
           revision bigint, ready_at timestamptz, lease_id uuid, lease_worker uuid, \
           lease_until timestamptz, lease_started boolean, wait_reason text, wait_on text, \
           output_type text, output_encoding text, output bytea, failure_code text, \
           failure_message text, failure_retryable boolean, ended_at timestamptz, request text, \
           steer_actor text, steer_reason text, cancel_force_at timestamptz, last_commit bytea, \
           attempts bigint, stalled bigint, offers bigint, retried bigint, priority bigint, \
           children bigint, interrupts bigint, posted bigint, input_tokens bigint, \
           output_tokens bigint, cached_tokens bigint, reasoning_tokens bigint, \
           cost_micros bigint, tool_calls bigint, called text, updated_at timestamptz, \
           agent_id uuid, version bigint, pool text, \
           max_attempts bigint, retry_limit bigint, retry_backoff_micros bigint, \
           retry_max_backoff_micros bigint, start_at timestamptz, deadline timestamptz, \
           concurrency_key text, parent_run uuid, parent_key text, detached boolean, depth bigint, \
           check_run uuid, budget text, created_at timestamptz",
    counts: false,
    sql: "-- insert_runs
INSERT INTO runs ({columns}) SELECT * FROM {rows} AS new",
};

// The revision is the second guard beside the row lock.
pub(super) const UPDATE_RUNS: Part = Part {
    name: "update_runs",
    rows: "tenant_id uuid, run_id uuid, state text, epoch bigint, next_seq bigint, inbox bigint, \
           revision bigint, ready_at timestamptz, lease_id uuid, lease_worker uuid, \
           lease_until timestamptz, lease_started boolean, wait_reason text, wait_on text, \
           output_type text, output_encoding text, output bytea, failure_code text, \
           failure_message text, failure_retryable boolean, ended_at timestamptz, request text, \
           steer_actor text, steer_reason text, cancel_force_at timestamptz, last_commit bytea, \
           attempts bigint, stalled bigint, offers bigint, retried bigint, priority bigint, \
           children bigint, interrupts bigint, posted bigint, input_tokens bigint, \
           output_tokens bigint, cached_tokens bigint, reasoning_tokens bigint, \
           cost_micros bigint, tool_calls bigint, called text, updated_at timestamptz, \
           before bigint",
    counts: true,
    sql: "-- update_runs
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
    cost_micros = new.cost_micros, tool_calls = new.tool_calls, called = new.called,
    updated_at = new.updated_at
FROM {rows} AS new
WHERE runs.tenant_id = new.tenant_id AND runs.run_id = new.run_id AND runs.revision = new.before
RETURNING 1",
};

// Most writes are these: fewer columns are fewer parameters to send, to read and to put together.
pub(super) const ADVANCE_RUNS: Part = Part {
    name: "advance_runs",
    rows: "tenant_id uuid, run_id uuid, before bigint, next_seq bigint, revision bigint, \
           lease_until timestamptz, lease_started boolean, last_commit bytea, attempts bigint, \
           stalled bigint, offers bigint, input_tokens bigint, output_tokens bigint, \
           cached_tokens bigint, reasoning_tokens bigint, cost_micros bigint, \
           tool_calls bigint, updated_at timestamptz",
    counts: true,
    sql: "-- advance_runs
UPDATE runs SET next_seq = new.next_seq, revision = new.revision, lease_until = new.lease_until,
    lease_started = new.lease_started, last_commit = new.last_commit, attempts = new.attempts,
    stalled = new.stalled, offers = new.offers, input_tokens = new.input_tokens,
    output_tokens = new.output_tokens, cached_tokens = new.cached_tokens,
    reasoning_tokens = new.reasoning_tokens, cost_micros = new.cost_micros,
    tool_calls = new.tool_calls, updated_at = new.updated_at
FROM {rows} AS new
WHERE runs.tenant_id = new.tenant_id AND runs.run_id = new.run_id AND runs.revision = new.before
RETURNING 1",
};

fn advancing<'q>(query: Query<'q>, rows: &'q [RunColumns<'q>]) -> Query<'q> {
    query
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.before))
        .bind(column(rows, |row| row.next_seq))
        .bind(column(rows, |row| row.revision))
        .bind(times(rows, |row| row.lease_until))
        .bind(column(rows, |row| row.lease_started))
        .bind(column(rows, |row| row.last_commit))
        .bind(column(rows, |row| row.attempts))
        .bind(column(rows, |row| row.stalled))
        .bind(column(rows, |row| row.offers))
        .bind(column(rows, |row| row.usage.input_tokens))
        .bind(column(rows, |row| row.usage.output_tokens))
        .bind(column(rows, |row| row.usage.cached_tokens))
        .bind(column(rows, |row| row.usage.reasoning_tokens))
        .bind(column(rows, |row| row.usage.cost_micros))
        .bind(column(rows, |row| row.usage.tool_calls))
        .bind(column(rows, |row| Time(row.updated_at)))
}

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
        .bind(column(rows, |row| row.usage.tool_calls))
        .bind(column(rows, |row| row.called.as_deref()))
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
        .bind(column(rows, |row| row.budget.as_deref()))
        .bind(column(rows, |row| Time(row.created_at)))
}

pub(super) const INSERT_INPUTS: Part = Part {
    name: "insert_inputs",
    rows: "tenant_id uuid, run_id uuid, content_type text, encoding text, payload bytea, labels text",
    counts: false,
    sql: "-- insert_inputs
INSERT INTO run_inputs ({columns})
SELECT tenant_id, run_id, content_type, encoding, payload, labels::jsonb FROM {rows} AS new",
};

fn bind_inputs<'q>(query: Query<'q>, rows: &'q [InputColumns<'q>]) -> Query<'q> {
    query
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.payload.content_type))
        .bind(column(rows, |row| row.payload.encoding))
        .bind(column(rows, |row| row.payload.data))
        .bind(column(rows, |row| row.labels.as_str()))
}

// One row for each agent that is as it was seen.
pub(super) const SEEN_AGENTS: Part = Part {
    name: "seen_agents",
    rows: "tenant_id uuid, agent_id uuid, latest bigint, uncapped boolean",
    counts: true,
    sql: "-- seen_agents
SELECT 1
FROM {rows} AS seen JOIN agents USING (tenant_id, agent_id) JOIN tenants USING (tenant_id)
WHERE agents.latest = seen.latest
  AND (NOT seen.uncapped OR agents.max_running IS NULL AND tenants.max_running IS NULL)",
};

fn bind_agents<'q>(query: Query<'q>, agents: &'q [SeenAgent]) -> Query<'q> {
    query
        .bind(column(agents, |seen| seen.tenant.uuid()))
        .bind(column(agents, |seen| seen.agent.uuid()))
        .bind(column(agents, |seen| i64::from(seen.latest)))
        .bind(column(agents, |seen| seen.uncapped))
}
