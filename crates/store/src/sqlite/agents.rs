//! Agents, their versions and aliases.

use sqlx::{SqliteConnection, SqlitePool};
use tenure_core::agent::{Agent, Alias, Version};
use tenure_core::{AgentId, Digest, Name, TenantId};

use super::row::micros;
use crate::columns::{limit as bound, targets};
use crate::rows::Reader;
use crate::{Result, StoreError};

pub(super) const STATEMENTS: &[&str] = &[
    FIND,
    GET,
    LIST,
    INSERT,
    LOCK,
    FIND_VERSION,
    FIND_SPEC,
    FIND_VERSION_BY_DIGEST,
    LIST_VERSIONS,
    INSERT_VERSION,
    SET_LATEST,
    LIST_ALIASES,
    SET_ALIAS,
];

const FIND: &str = "-- find_agent
SELECT tenant_id, agent_id, name, latest, max_running, created_at FROM agents
WHERE tenant_id = $1 AND name = $2";

pub(super) async fn find(
    pool: &SqlitePool,
    tenant: TenantId,
    name: &Name,
) -> Result<Option<Agent>> {
    let query = sqlx::query(FIND).bind(tenant.uuid()).bind(name.as_str());
    let row = query.fetch_optional(pool).await?;
    row.map(|row| Reader::new("agents", &row).agent()).transpose()
}

const GET: &str = "-- get_agent
SELECT tenant_id, agent_id, name, latest, max_running, created_at FROM agents
WHERE tenant_id = $1 AND agent_id = $2";

pub(super) async fn get(
    pool: &SqlitePool,
    tenant: TenantId,
    agent: AgentId,
) -> Result<Option<Agent>> {
    let query = sqlx::query(GET).bind(tenant.uuid()).bind(agent.uuid());
    let row = query.fetch_optional(pool).await?;
    row.map(|row| Reader::new("agents", &row).agent()).transpose()
}

const LIST: &str = "-- list_agents
SELECT tenant_id, agent_id, name, latest, max_running, created_at FROM agents
WHERE tenant_id = $1 AND name > $2 ORDER BY name LIMIT $3";

pub(super) async fn list(
    pool: &SqlitePool,
    tenant: TenantId,
    after: Option<&Name>,
    limit: usize,
) -> Result<Vec<Agent>> {
    let query = sqlx::query(LIST).bind(tenant.uuid()).bind(after.map_or("", Name::as_str));
    let rows = query.bind(bound(limit)).fetch_all(pool).await?;
    rows.iter().map(|row| Reader::new("agents", row).agent()).collect()
}

const INSERT: &str = "-- insert_agent
INSERT INTO agents (tenant_id, agent_id, name, latest, max_running, created_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";

pub(super) async fn insert(db: &mut SqliteConnection, agent: &Agent) -> Result<bool> {
    let done = sqlx::query(INSERT)
        .bind(agent.tenant.uuid())
        .bind(agent.id.uuid())
        .bind(agent.name.as_str())
        .bind(i64::from(agent.latest))
        .bind(agent.max_running.map(i64::from))
        .bind(micros(agent.created_at))
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

// The transaction holds the write lock: reading is locking.
const LOCK: &str = "-- lock_agent
SELECT tenant_id, agent_id, name, latest, max_running, created_at FROM agents
WHERE tenant_id = $1 AND name = $2";

pub(super) async fn lock(
    db: &mut SqliteConnection,
    tenant: TenantId,
    name: &Name,
) -> Result<Option<Agent>> {
    let query = sqlx::query(LOCK).bind(tenant.uuid()).bind(name.as_str());
    let row = query.fetch_optional(db).await?;
    row.map(|row| Reader::new("agents", &row).agent()).transpose()
}

const FIND_VERSION: &str = "-- find_version
SELECT tenant_id, agent_id, number, digest, pool, spec, created_at FROM agent_versions
WHERE tenant_id = $1 AND agent_id = $2 AND number = $3";

pub(super) async fn find_version(
    pool: &SqlitePool,
    tenant: TenantId,
    agent: AgentId,
    number: u32,
) -> Result<Option<Version>> {
    let query = sqlx::query(FIND_VERSION).bind(tenant.uuid()).bind(agent.uuid());
    let row = query.bind(i64::from(number)).fetch_optional(pool).await?;
    row.map(|row| Reader::new("agent_versions", &row).version()).transpose()
}

// Any version with the content would do; an order makes it always the same one.
const FIND_SPEC: &str = "-- find_spec
SELECT tenant_id, agent_id, number, digest, pool, spec, created_at FROM agent_versions
WHERE tenant_id = $1 AND digest = $2 ORDER BY agent_id LIMIT 1";

pub(super) async fn find_spec(
    pool: &SqlitePool,
    tenant: TenantId,
    digest: &Digest,
) -> Result<Option<Version>> {
    let query = sqlx::query(FIND_SPEC).bind(tenant.uuid()).bind(&digest.as_bytes()[..]);
    let row = query.fetch_optional(pool).await?;
    row.map(|row| Reader::new("agent_versions", &row).version()).transpose()
}

const FIND_VERSION_BY_DIGEST: &str = "-- find_version_by_digest
SELECT tenant_id, agent_id, number, digest, pool, spec, created_at FROM agent_versions
WHERE tenant_id = $1 AND agent_id = $2 AND digest = $3";

pub(super) async fn find_version_by_digest(
    db: &mut SqliteConnection,
    tenant: TenantId,
    agent: AgentId,
    digest: &Digest,
) -> Result<Option<Version>> {
    let query = sqlx::query(FIND_VERSION_BY_DIGEST).bind(tenant.uuid()).bind(agent.uuid());
    let row = query.bind(&digest.as_bytes()[..]).fetch_optional(db).await?;
    row.map(|row| Reader::new("agent_versions", &row).version()).transpose()
}

const LIST_VERSIONS: &str = "-- list_versions
SELECT tenant_id, agent_id, number, digest, pool, spec, created_at FROM agent_versions
WHERE tenant_id = $1 AND agent_id = $2 AND number < $3 ORDER BY number DESC LIMIT $4";

pub(super) async fn list_versions(
    pool: &SqlitePool,
    tenant: TenantId,
    agent: AgentId,
    before: Option<u32>,
    limit: usize,
) -> Result<Vec<Version>> {
    let rows = sqlx::query(LIST_VERSIONS)
        .bind(tenant.uuid())
        .bind(agent.uuid())
        .bind(before.map_or(i64::MAX, i64::from))
        .bind(bound(limit))
        .fetch_all(pool)
        .await?;
    rows.iter().map(|row| Reader::new("agent_versions", row).version()).collect()
}

const INSERT_VERSION: &str = "-- insert_version
INSERT INTO agent_versions (tenant_id, agent_id, number, digest, pool, spec, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";

const SET_LATEST: &str = "-- set_latest
UPDATE agents SET latest = $3 WHERE tenant_id = $1 AND agent_id = $2";

pub(super) async fn insert_version(
    db: &mut SqliteConnection,
    tenant: TenantId,
    version: &Version,
) -> Result<()> {
    let inserted = sqlx::query(INSERT_VERSION)
        .bind(tenant.uuid())
        .bind(version.agent.uuid())
        .bind(i64::from(version.number))
        .bind(&version.digest.as_bytes()[..])
        .bind(version.pool.as_str())
        .bind(&version.spec[..])
        .bind(micros(version.created_at))
        .execute(&mut *db)
        .await?;
    if inserted.rows_affected() != 1 {
        let (number, agent) = (version.number, version.agent);
        return Err(StoreError::Conflict(format!("{agent} has version {number} or its content")));
    }
    let query = sqlx::query(SET_LATEST).bind(tenant.uuid()).bind(version.agent.uuid());
    query.bind(i64::from(version.number)).execute(db).await?;
    Ok(())
}

const LIST_ALIASES: &str = "-- list_aliases
SELECT tenant_id, agent_id, name, targets FROM aliases
WHERE tenant_id = $1 AND agent_id = $2 ORDER BY name";

pub(super) async fn list_aliases(
    pool: &SqlitePool,
    tenant: TenantId,
    agent: AgentId,
) -> Result<Vec<Alias>> {
    let query = sqlx::query(LIST_ALIASES).bind(tenant.uuid()).bind(agent.uuid());
    let rows = query.fetch_all(pool).await?;
    rows.iter().map(|row| Reader::new("aliases", row).alias()).collect()
}

const SET_ALIAS: &str = "-- set_alias
INSERT INTO aliases (tenant_id, agent_id, name, targets) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, agent_id, name) DO UPDATE SET targets = excluded.targets";

pub(super) async fn set_alias(
    db: &mut SqliteConnection,
    tenant: TenantId,
    alias: &Alias,
) -> Result<()> {
    sqlx::query(SET_ALIAS)
        .bind(tenant.uuid())
        .bind(alias.agent.uuid())
        .bind(alias.name.as_str())
        .bind(targets(&alias.targets))
        .execute(db)
        .await?;
    Ok(())
}
