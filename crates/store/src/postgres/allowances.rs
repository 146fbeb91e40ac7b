//! Allowances, what was spent of them, and what is reserved.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor};
use tenure_core::allowance::{Allowance, Hold, Period, Standing};
use tenure_core::{AgentId, TenantId, Timestamp};
use uuid::Uuid;

use super::clock;
use super::row::{Time, column};
use super::save::Query;
use super::statement::Part;
use crate::Result;
use crate::columns::{HoldColumns, MOST, SpentColumns, int_if};
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[STANDINGS, LOCK, SET, UNSET, FORGET_HOLDS, HOLD];

// The sums of a month are over a row for each day, agent, version, model and writer: some thousands
// where there is much. A sum that did not fit would fail.
const STANDINGS: &str = "-- standings
SELECT own.tenant_id, own.agent_id, own.period, own.cost_micros AS most_cost,
       own.tokens AS most_tokens, own.tool_calls AS most_tool_calls,
       spent.unpriced, spent.tool_calls, spent.input_tokens, spent.output_tokens,
       spent.cached_tokens, spent.reasoning_tokens, spent.cost_micros,
       held.cost_micros AS held_cost, held.tokens AS held_tokens
FROM allowances AS own,
LATERAL (
    SELECT least(coalesce(sum(unpriced), 0), $6)::bigint AS unpriced,
           least(coalesce(sum(tool_calls), 0), $6)::bigint AS tool_calls,
           least(coalesce(sum(input_tokens), 0), $6)::bigint AS input_tokens,
           least(coalesce(sum(output_tokens), 0), $6)::bigint AS output_tokens,
           least(coalesce(sum(cached_tokens), 0), $6)::bigint AS cached_tokens,
           least(coalesce(sum(reasoning_tokens), 0), $6)::bigint AS reasoning_tokens,
           least(coalesce(sum(cost_micros), 0), $6)::bigint AS cost_micros
    FROM spent
    WHERE tenant_id = own.tenant_id AND day >= CASE own.period WHEN 'day' THEN $3::bigint ELSE $4 END
      AND (own.agent_id = '00000000-0000-0000-0000-000000000000' OR agent_id = own.agent_id)
) AS spent,
LATERAL (
    SELECT least(coalesce(sum(cost_micros), 0), $6)::bigint AS cost_micros,
           least(coalesce(sum(tokens), 0), $6)::bigint AS tokens
    FROM holds
    WHERE tenant_id = own.tenant_id AND until > $5
      AND (own.agent_id = '00000000-0000-0000-0000-000000000000' OR agent_id = own.agent_id)
) AS held
WHERE own.tenant_id = $1
  AND ($2::uuid IS NULL OR own.agent_id IN ($2, '00000000-0000-0000-0000-000000000000'))
ORDER BY own.agent_id, own.period";

/// The allowances of a tenant; if an agent is given, those that its runs draw on.
pub(super) async fn standings(
    db: impl PgExecutor<'_>,
    tenant: TenantId,
    agent: Option<AgentId>,
    now: Timestamp,
) -> Result<Vec<Standing>> {
    let rows = sqlx::query(STANDINGS)
        .bind(tenant.uuid())
        .bind(agent.map(AgentId::uuid))
        .bind(Period::Day.first_day(now).0)
        .bind(Period::Month.first_day(now).0)
        .bind(Time(now))
        .bind(MOST)
        .fetch_all(db)
        .await?;
    rows.iter().map(|row: &PgRow| Reader::new("allowances", row).standing()).collect()
}

// In one order for everybody.
const LOCK: &str = "-- lock_allowances
SELECT 1 FROM allowances
WHERE tenant_id = $1 AND agent_id IN ($2, '00000000-0000-0000-0000-000000000000')
ORDER BY agent_id, period FOR UPDATE";

pub(super) async fn lock(
    db: &mut PgConnection,
    tenant: TenantId,
    agent: AgentId,
) -> Result<(Timestamp, Vec<Standing>)> {
    let query = sqlx::query(LOCK).bind(tenant.uuid()).bind(agent.uuid());
    let locked = query.fetch_all(&mut *db).await?;
    let now = clock::now(&mut *db).await?;
    if locked.is_empty() {
        return Ok((now, Vec::new()));
    }
    // After the locks and in a statement of its own, which sees what was reserved meanwhile.
    Ok((now, standings(db, tenant, Some(agent), now).await?))
}

const SET: &str = "-- set_allowance
INSERT INTO allowances (tenant_id, agent_id, period, cost_micros, tokens, tool_calls)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id, agent_id, period) DO UPDATE
SET cost_micros = excluded.cost_micros, tokens = excluded.tokens,
    tool_calls = excluded.tool_calls";

const UNSET: &str = "-- unset_allowance
DELETE FROM allowances WHERE tenant_id = $1 AND agent_id = $2 AND period = $3";

pub(super) async fn set(db: &mut PgConnection, allowance: &Allowance) -> Result<bool> {
    let Allowance { tenant, agent, period, budget } = allowance;
    let sql = if budget.is_unlimited() { UNSET } else { SET };
    let agent = agent.map_or(Uuid::nil(), AgentId::uuid);
    let mut query = sqlx::query(sql).bind(tenant.uuid()).bind(agent).bind(period.as_str());
    if !budget.is_unlimited() {
        for amount in [budget.cost_micros, budget.tokens, budget.tool_calls] {
            query = query.bind(int_if(amount));
        }
    }
    Ok(query.execute(db).await?.rows_affected() == 1)
}

const FORGET_HOLDS: &str = "-- forget_holds
DELETE FROM holds WHERE tenant_id = $1 AND until <= $2";

const HOLD: &str = "-- hold
INSERT INTO holds (tenant_id, run_id, key, agent_id, cost_micros, tokens, until)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant_id, run_id, key) DO UPDATE
SET cost_micros = excluded.cost_micros, tokens = excluded.tokens, until = excluded.until";

pub(super) async fn hold(db: &mut PgConnection, hold: &Hold, now: Timestamp) -> Result<()> {
    let Hold { tenant, run, agent, key, estimate, until } = hold;
    let query = sqlx::query(FORGET_HOLDS).bind(tenant.uuid()).bind(Time(now));
    query.execute(&mut *db).await?;
    sqlx::query(HOLD)
        .bind(tenant.uuid())
        .bind(run.uuid())
        .bind(key.as_str())
        .bind(agent.uuid())
        .bind(int_if(estimate.cost_micros))
        .bind(int_if(Some(estimate.tokens)))
        .bind(Time(*until))
        .execute(db)
        .await?;
    Ok(())
}

// Connections of one process have process ids in a row, so those that write at the same time have
// different remainders. Where two are the same, one waits for the other. A sum is kept below where
// the next one would not fit.
pub(super) const SPEND: Part = Part {
    name: "spend",
    rows: "tenant_id uuid, day bigint, agent_id uuid, version bigint, model text, \
           model_calls bigint, unpriced bigint, tool_calls bigint, input_tokens bigint, \
           output_tokens bigint, cached_tokens bigint, reasoning_tokens bigint, cost_micros bigint",
    counts: false,
    sql: "-- spend
INSERT INTO spent ({columns}, writer) SELECT new.*, pg_backend_pid() & 31 FROM {rows} AS new
ON CONFLICT (tenant_id, day, agent_id, version, model, writer) DO UPDATE
SET model_calls = spent.model_calls + excluded.model_calls,
    unpriced = spent.unpriced + excluded.unpriced,
    tool_calls = spent.tool_calls + excluded.tool_calls,
    input_tokens = least(spent.input_tokens + excluded.input_tokens, 4000000000000000000),
    output_tokens = least(spent.output_tokens + excluded.output_tokens, 4000000000000000000),
    cached_tokens = least(spent.cached_tokens + excluded.cached_tokens, 4000000000000000000),
    reasoning_tokens =
        least(spent.reasoning_tokens + excluded.reasoning_tokens, 4000000000000000000),
    cost_micros = least(spent.cost_micros + excluded.cost_micros, 4000000000000000000)",
};

pub(super) fn bind_spent<'q>(query: Query<'q>, rows: &'q [SpentColumns<'q>]) -> Query<'q> {
    query
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.day))
        .bind(column(rows, |row| row.agent_id))
        .bind(column(rows, |row| row.version))
        .bind(column(rows, |row| row.model))
        .bind(column(rows, |row| row.amounts.model_calls))
        .bind(column(rows, |row| row.amounts.unpriced))
        .bind(column(rows, |row| row.amounts.tool_calls))
        .bind(column(rows, |row| row.amounts.input_tokens))
        .bind(column(rows, |row| row.amounts.output_tokens))
        .bind(column(rows, |row| row.amounts.cached_tokens))
        .bind(column(rows, |row| row.amounts.reasoning_tokens))
        .bind(column(rows, |row| row.amounts.cost_micros))
}

pub(super) const RELEASE: Part = Part {
    name: "release",
    rows: "tenant_id uuid, run_id uuid, key text",
    counts: false,
    sql: "-- release
DELETE FROM holds USING {rows} AS new
WHERE holds.tenant_id = new.tenant_id AND holds.run_id = new.run_id AND holds.key = new.key",
};

pub(super) fn bind_released<'q>(query: Query<'q>, rows: &'q [HoldColumns<'q>]) -> Query<'q> {
    query
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.key))
}
