//! Caps: how many runs of a tenant, or of one of its agents, may be leased at a time.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor};
use tenure_core::queue::{Cap, Capped};
use tenure_core::{AgentId, TenantId};
use uuid::Uuid;

use super::row::column;
use crate::Result;
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] =
    &[LOCK_TENANTS, LOCK_AGENTS, COUNT_RUNNING, SET_OF_TENANT, SET_OF_AGENT, MOVE_LANE];

// In one order for everybody: of two that lock the same caps, one waits for the other, and not each
// for each.
const LOCK_TENANTS: &str = "-- lock_tenant_caps
SELECT tenant_id, NULL::uuid AS agent_id, max_running FROM tenants
WHERE tenant_id = ANY ($1) AND max_running IS NOT NULL
ORDER BY tenant_id
FOR NO KEY UPDATE";

const LOCK_AGENTS: &str = "-- lock_agent_caps
SELECT tenant_id, agent_id, max_running
FROM agents JOIN unnest($1::uuid[], $2::uuid[]) AS asked (tenant_id, agent_id)
     USING (tenant_id, agent_id)
WHERE max_running IS NOT NULL
ORDER BY tenant_id, agent_id
FOR NO KEY UPDATE OF agents";

pub(super) async fn lock(db: &mut PgConnection, of: &[Capped]) -> Result<HashMap<Capped, Cap>> {
    let limits = lock_limits(db, of).await?;
    let capped: Vec<_> = limits.keys().copied().collect();
    // After the locks and in a statement of its own, which sees what was leased meanwhile.
    let running = count(db, &capped).await?;
    let cap = |(of, limit)| (of, Cap { limit, running: running.get(&of).copied().unwrap_or(0) });
    Ok(limits.into_iter().map(cap).collect())
}

async fn lock_limits(db: &mut PgConnection, of: &[Capped]) -> Result<HashMap<Capped, u32>> {
    let tenants: Vec<_> =
        of.iter().filter(|of| of.1.is_none()).map(|(tenant, _)| tenant.uuid()).collect();
    let agents: Vec<(Uuid, Uuid)> = of
        .iter()
        .filter_map(|(tenant, agent)| agent.map(|agent| (tenant.uuid(), agent.uuid())))
        .collect();
    let mut rows = Vec::new();
    if !tenants.is_empty() {
        rows.extend(sqlx::query(LOCK_TENANTS).bind(tenants).fetch_all(&mut *db).await?);
    }
    if !agents.is_empty() {
        let query = sqlx::query(LOCK_AGENTS).bind(column(&agents, |(tenant, _)| *tenant));
        rows.extend(query.bind(column(&agents, |(_, agent)| *agent)).fetch_all(db).await?);
    }
    rows.iter()
        .map(|row| Ok((capped(row)?, Reader::new("agents", row).small("max_running")?)))
        .collect()
}

// Each by its own part of the index of leased runs.
const COUNT_RUNNING: &str = "-- count_running
SELECT tenant_id, agent_id, CASE WHEN agent_id IS NULL THEN
           (SELECT count(*) FROM runs
            WHERE state = 'running' AND runs.tenant_id = asked.tenant_id)
       ELSE
           (SELECT count(*) FROM runs
            WHERE state = 'running' AND runs.tenant_id = asked.tenant_id
              AND runs.agent_id = asked.agent_id)
       END AS running
FROM unnest($1::uuid[], $2::uuid[]) AS asked (tenant_id, agent_id)";

/// How many runs are leased under each of these.
pub(super) async fn count(db: impl PgExecutor<'_>, of: &[Capped]) -> Result<HashMap<Capped, u64>> {
    if of.is_empty() {
        return Ok(HashMap::new());
    }
    let query = sqlx::query(COUNT_RUNNING).bind(column(of, |(tenant, _)| tenant.uuid()));
    let rows = query.bind(column(of, |(_, agent)| agent.map(AgentId::uuid))).fetch_all(db).await?;
    rows.iter().map(|row| Ok((capped(row)?, Reader::new("runs", row).count("running")?))).collect()
}

fn capped(row: &PgRow) -> Result<Capped> {
    let row = Reader::new("agents", row);
    Ok((TenantId::new(row.id("tenant_id")?), row.id_if("agent_id")?.map(AgentId::new)))
}

const SET_OF_TENANT: &str = "-- set_tenant_cap
UPDATE tenants SET max_running = $2 WHERE tenant_id = $1";

const SET_OF_AGENT: &str = "-- set_agent_cap
UPDATE agents SET max_running = $3 WHERE tenant_id = $1 AND agent_id = $2";

// Without waiting for rows that are being taken: those who take them may wait for these.
const MOVE_LANE: &str = "-- move_lane
UPDATE run_ready SET lane = $3
WHERE (tenant_id, run_id) IN (
    SELECT tenant_id, run_id FROM run_ready
    WHERE tenant_id = $1 AND agent_id = $2 AND lane <> $3
    FOR UPDATE SKIP LOCKED)";

pub(super) async fn set(
    db: &mut PgConnection,
    (tenant, agent): Capped,
    max_running: Option<u32>,
) -> Result<bool> {
    let limit = max_running.map(i64::from);
    let Some(agent) = agent else {
        let done = sqlx::query(SET_OF_TENANT).bind(tenant.uuid()).bind(limit).execute(db).await?;
        return Ok(done.rows_affected() == 1);
    };
    let query = sqlx::query(SET_OF_AGENT).bind(tenant.uuid()).bind(agent.uuid()).bind(limit);
    let done = query.execute(&mut *db).await?;
    let lane = max_running.map_or(Uuid::nil(), |_| agent.uuid());
    let query = sqlx::query(MOVE_LANE).bind(tenant.uuid()).bind(agent.uuid()).bind(lane);
    query.execute(db).await?;
    Ok(done.rows_affected() == 1)
}
