//! Caps: how many runs of a tenant, or of one of its agents, may be leased at a time.

use std::collections::HashMap;

use sqlx::{SqliteConnection, SqliteExecutor};
use tenure_core::queue::{Cap, Capped};
use uuid::Uuid;

use crate::Result;
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[
    LOCK_TENANT,
    LOCK_AGENT,
    COUNT_OF_TENANT,
    COUNT_OF_AGENT,
    SET_OF_TENANT,
    SET_OF_AGENT,
    MOVE_LANE,
];

// The transaction holds the write lock: reading is locking.
const LOCK_TENANT: &str = "-- lock_tenant_cap
SELECT max_running FROM tenants WHERE tenant_id = $1 AND max_running IS NOT NULL";

const LOCK_AGENT: &str = "-- lock_agent_cap
SELECT max_running FROM agents
WHERE tenant_id = $1 AND agent_id = $2 AND max_running IS NOT NULL";

pub(super) async fn lock(db: &mut SqliteConnection, of: &[Capped]) -> Result<HashMap<Capped, Cap>> {
    let mut caps = HashMap::new();
    for of in of {
        if let Some(limit) = lock_limit(db, *of).await? {
            let running = count(&mut *db, *of).await?;
            caps.insert(*of, Cap { limit, running });
        }
    }
    Ok(caps)
}

async fn lock_limit(db: &mut SqliteConnection, (tenant, agent): Capped) -> Result<Option<u32>> {
    let query = match agent {
        None => sqlx::query(LOCK_TENANT).bind(tenant.uuid()),
        Some(agent) => sqlx::query(LOCK_AGENT).bind(tenant.uuid()).bind(agent.uuid()),
    };
    let row = query.fetch_optional(db).await?;
    row.map(|row| Reader::new("agents", &row).small("max_running")).transpose()
}

// Each by its own part of the index of leased runs.
const COUNT_OF_TENANT: &str = "-- count_running
SELECT count(*) AS running FROM runs WHERE state = 'running' AND tenant_id = $1";

const COUNT_OF_AGENT: &str = "-- count_running_of_agent
SELECT count(*) AS running FROM runs
WHERE state = 'running' AND tenant_id = $1 AND agent_id = $2";

/// How many runs are leased under this one.
pub(super) async fn count(db: impl SqliteExecutor<'_>, (tenant, agent): Capped) -> Result<u64> {
    let query = match agent {
        None => sqlx::query(COUNT_OF_TENANT).bind(tenant.uuid()),
        Some(agent) => sqlx::query(COUNT_OF_AGENT).bind(tenant.uuid()).bind(agent.uuid()),
    };
    Reader::new("runs", &query.fetch_one(db).await?).count("running")
}

const SET_OF_TENANT: &str = "-- set_tenant_cap
UPDATE tenants SET max_running = $2 WHERE tenant_id = $1";

const SET_OF_AGENT: &str = "-- set_agent_cap
UPDATE agents SET max_running = $3 WHERE tenant_id = $1 AND agent_id = $2";

const MOVE_LANE: &str = "-- move_lane
UPDATE run_ready SET lane = $3 WHERE tenant_id = $1 AND agent_id = $2 AND lane <> $3";

pub(super) async fn set(
    db: &mut SqliteConnection,
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
