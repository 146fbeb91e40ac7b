//! Tenants.

use sqlx::{SqliteConnection, SqlitePool};
use tenure_core::Name;
use tenure_core::agent::Tenant;

use super::row::micros;
use crate::Result;
use crate::columns::limit as bound;
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[FIND, LIST, INSERT];

const FIND: &str = "-- find_tenant
SELECT tenant_id, name, max_running, created_at FROM tenants WHERE name = $1";

pub(super) async fn find(pool: &SqlitePool, name: &Name) -> Result<Option<Tenant>> {
    let row = sqlx::query(FIND).bind(name.as_str()).fetch_optional(pool).await?;
    row.map(|row| Reader::new("tenants", &row).tenant()).transpose()
}

const LIST: &str = "-- list_tenants
SELECT tenant_id, name, max_running, created_at FROM tenants
WHERE name > $1 ORDER BY name LIMIT $2";

pub(super) async fn list(
    pool: &SqlitePool,
    after: Option<&Name>,
    limit: usize,
) -> Result<Vec<Tenant>> {
    let after = after.map_or("", Name::as_str);
    let rows = sqlx::query(LIST).bind(after).bind(bound(limit)).fetch_all(pool).await?;
    rows.iter().map(|row| Reader::new("tenants", row).tenant()).collect()
}

const INSERT: &str = "-- insert_tenant
INSERT INTO tenants (tenant_id, name, max_running, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING";

pub(super) async fn insert(db: &mut SqliteConnection, tenant: &Tenant) -> Result<bool> {
    let done = sqlx::query(INSERT)
        .bind(tenant.id.uuid())
        .bind(tenant.name.as_str())
        .bind(tenant.max_running.map(i64::from))
        .bind(micros(tenant.created_at))
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}
