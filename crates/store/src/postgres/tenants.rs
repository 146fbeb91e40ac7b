//! Tenants.

use sqlx::{PgConnection, PgPool};
use tenure_core::agent::Tenant;
use tenure_core::{Name, TenantId};

use super::row::Time;
use crate::Result;
use crate::columns::limit as bound;
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[FIND, LIST, INSERT, SET_POLICY];

const FIND: &str = "-- find_tenant
SELECT tenant_id, name, max_running, policy, created_at,
       EXISTS (SELECT 1 FROM allowances AS own WHERE own.tenant_id = tenants.tenant_id) AS metered
FROM tenants WHERE name = $1";

pub(super) async fn find(pool: &PgPool, name: &Name) -> Result<Option<Tenant>> {
    let row = sqlx::query(FIND).bind(name.as_str()).fetch_optional(pool).await?;
    row.map(|row| Reader::new("tenants", &row).tenant()).transpose()
}

const LIST: &str = "-- list_tenants
SELECT tenant_id, name, max_running, policy, created_at,
       EXISTS (SELECT 1 FROM allowances AS own WHERE own.tenant_id = tenants.tenant_id) AS metered
FROM tenants
WHERE name > $1 ORDER BY name LIMIT $2";

pub(super) async fn list(pool: &PgPool, after: Option<&Name>, limit: usize) -> Result<Vec<Tenant>> {
    let after = after.map_or("", Name::as_str);
    let rows = sqlx::query(LIST).bind(after).bind(bound(limit)).fetch_all(pool).await?;
    rows.iter().map(|row| Reader::new("tenants", row).tenant()).collect()
}

const INSERT: &str = "-- insert_tenant
INSERT INTO tenants (tenant_id, name, max_running, policy, created_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING";

pub(super) async fn insert(db: &mut PgConnection, tenant: &Tenant) -> Result<bool> {
    let done = sqlx::query(INSERT)
        .bind(tenant.id.uuid())
        .bind(tenant.name.as_str())
        .bind(tenant.max_running.map(i64::from))
        .bind(tenant.policy.as_deref())
        .bind(Time(tenant.created_at))
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

const SET_POLICY: &str = "-- set_policy
UPDATE tenants SET policy = $2 WHERE tenant_id = $1";

pub(super) async fn set_policy(
    db: &mut PgConnection,
    tenant: TenantId,
    policy: Option<&str>,
) -> Result<bool> {
    let query = sqlx::query(SET_POLICY).bind(tenant.uuid()).bind(policy);
    Ok(query.execute(db).await?.rows_affected() == 1)
}
