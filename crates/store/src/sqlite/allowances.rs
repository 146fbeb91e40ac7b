//! Allowances, what was spent of them, and what is reserved.

use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqliteExecutor};
use tenure_core::allowance::{Allowance, Hold, Period, Standing};
use tenure_core::{AgentId, TenantId, Timestamp};
use uuid::Uuid;

use super::clock;
use super::row::micros;
use crate::Result;
use crate::columns::{HoldColumns, MOST, SpentColumns, int_if};
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[STANDINGS, SET, UNSET, FORGET_HOLDS, HOLD, SPEND, RELEASE];

// Sums are made as floating point where whole numbers would not fit, and cut.
const STANDINGS: &str = "-- standings
SELECT own.tenant_id, own.agent_id, own.period, own.cost_micros AS most_cost,
       own.tokens AS most_tokens, own.tool_calls AS most_tool_calls,
       CAST(min(total(spent.unpriced), $6) AS INTEGER) AS unpriced,
       CAST(min(total(spent.tool_calls), $6) AS INTEGER) AS tool_calls,
       CAST(min(total(spent.input_tokens), $6) AS INTEGER) AS input_tokens,
       CAST(min(total(spent.output_tokens), $6) AS INTEGER) AS output_tokens,
       CAST(min(total(spent.cached_tokens), $6) AS INTEGER) AS cached_tokens,
       CAST(min(total(spent.reasoning_tokens), $6) AS INTEGER) AS reasoning_tokens,
       CAST(min(total(spent.cost_micros), $6) AS INTEGER) AS cost_micros,
       (SELECT CAST(min(total(cost_micros), $6) AS INTEGER) FROM holds
        WHERE tenant_id = own.tenant_id AND until > $5
          AND own.agent_id IN (agent_id, zeroblob(16))) AS held_cost,
       (SELECT CAST(min(total(tokens), $6) AS INTEGER) FROM holds
        WHERE tenant_id = own.tenant_id AND until > $5
          AND own.agent_id IN (agent_id, zeroblob(16))) AS held_tokens
FROM allowances AS own LEFT JOIN spent
  ON spent.tenant_id = own.tenant_id
 AND spent.day >= CASE own.period WHEN 'day' THEN $3 ELSE $4 END
 AND own.agent_id IN (spent.agent_id, zeroblob(16))
WHERE own.tenant_id = $1 AND ($2 IS NULL OR own.agent_id IN ($2, zeroblob(16)))
GROUP BY own.agent_id, own.period
ORDER BY own.agent_id, own.period";

/// The allowances of a tenant; if an agent is given, those that its runs draw on.
pub(super) async fn standings(
    db: impl SqliteExecutor<'_>,
    tenant: TenantId,
    agent: Option<AgentId>,
    now: Timestamp,
) -> Result<Vec<Standing>> {
    let rows = sqlx::query(STANDINGS)
        .bind(tenant.uuid())
        .bind(agent.map(AgentId::uuid))
        .bind(Period::Day.first_day(now).0)
        .bind(Period::Month.first_day(now).0)
        .bind(micros(now))
        .bind(MOST)
        .fetch_all(db)
        .await?;
    rows.iter().map(|row: &SqliteRow| Reader::new("allowances", row).standing()).collect()
}

/// The transaction holds the write lock: reading is locking.
pub(super) async fn lock(
    db: &mut SqliteConnection,
    tenant: TenantId,
    agent: AgentId,
) -> Result<(Timestamp, Vec<Standing>)> {
    let now = clock::now(&mut *db).await?;
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

pub(super) async fn set(db: &mut SqliteConnection, allowance: &Allowance) -> Result<bool> {
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

pub(super) async fn hold(db: &mut SqliteConnection, hold: &Hold, now: Timestamp) -> Result<()> {
    let Hold { tenant, run, agent, key, estimate, until } = hold;
    let query = sqlx::query(FORGET_HOLDS).bind(tenant.uuid()).bind(micros(now));
    query.execute(&mut *db).await?;
    sqlx::query(HOLD)
        .bind(tenant.uuid())
        .bind(run.uuid())
        .bind(key.as_str())
        .bind(agent.uuid())
        .bind(int_if(estimate.cost_micros))
        .bind(int_if(Some(estimate.tokens)))
        .bind(micros(*until))
        .execute(db)
        .await?;
    Ok(())
}

// There is one writer. A sum is kept below where the next one would not fit.
const SPEND: &str = "-- spend
INSERT INTO spent (tenant_id, day, agent_id, version, model, writer, model_calls, unpriced,
    tool_calls, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_micros)
VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (tenant_id, day, agent_id, version, model, writer) DO UPDATE
SET model_calls = model_calls + excluded.model_calls,
    unpriced = unpriced + excluded.unpriced,
    tool_calls = tool_calls + excluded.tool_calls,
    input_tokens = min(input_tokens + excluded.input_tokens, 4000000000000000000),
    output_tokens = min(output_tokens + excluded.output_tokens, 4000000000000000000),
    cached_tokens = min(cached_tokens + excluded.cached_tokens, 4000000000000000000),
    reasoning_tokens = min(reasoning_tokens + excluded.reasoning_tokens, 4000000000000000000),
    cost_micros = min(cost_micros + excluded.cost_micros, 4000000000000000000)";

pub(super) async fn spend(db: &mut SqliteConnection, rows: &[SpentColumns<'_>]) -> Result<()> {
    for row in rows {
        sqlx::query(SPEND)
            .bind(row.tenant_id)
            .bind(row.day)
            .bind(row.agent_id)
            .bind(row.version)
            .bind(row.model)
            .bind(row.amounts.model_calls)
            .bind(row.amounts.unpriced)
            .bind(row.amounts.tool_calls)
            .bind(row.amounts.input_tokens)
            .bind(row.amounts.output_tokens)
            .bind(row.amounts.cached_tokens)
            .bind(row.amounts.reasoning_tokens)
            .bind(row.amounts.cost_micros)
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

const RELEASE: &str = "-- release
DELETE FROM holds WHERE tenant_id = $1 AND run_id = $2 AND key = $3";

pub(super) async fn release(db: &mut SqliteConnection, rows: &[HoldColumns<'_>]) -> Result<()> {
    for row in rows {
        let query = sqlx::query(RELEASE).bind(row.tenant_id).bind(row.run_id).bind(row.key);
        query.execute(&mut *db).await?;
    }
    Ok(())
}
