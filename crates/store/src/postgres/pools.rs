//! Pools: when somebody last asked for their runs.

use sqlx::{PgConnection, PgPool};
use tenure_core::{Name, TenantId, Timestamp};

use super::row::column;
use crate::Result;
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[POLLED_AT, NOTE_POLLS];

const POLLED_AT: &str = "-- polled_at
SELECT polled_at FROM pools WHERE tenant_id = $1 AND pool = $2";

pub(super) async fn polled_at(
    db: &PgPool,
    tenant: TenantId,
    pool: &Name,
) -> Result<Option<Timestamp>> {
    let query = sqlx::query(POLLED_AT).bind(tenant.uuid()).bind(pool.as_str());
    let row = query.fetch_optional(db).await?;
    row.map(|row| Reader::new("pools", &row).time("polled_at")).transpose()
}

// In one order for everybody: replicas note the same pools.
const NOTE_POLLS: &str = "-- note_polls
INSERT INTO pools (tenant_id, pool, polled_at)
SELECT DISTINCT tenant_id, pool COLLATE \"C\", (SELECT tenure_now())
FROM unnest($1::uuid[], $2::text[]) AS asked (tenant_id, pool)
ORDER BY tenant_id, pool COLLATE \"C\"
ON CONFLICT (tenant_id, pool) DO UPDATE SET polled_at = excluded.polled_at";

pub(super) async fn note_polls(db: &mut PgConnection, places: &[(TenantId, Name)]) -> Result<()> {
    sqlx::query(NOTE_POLLS)
        .bind(column(places, |(tenant, _)| tenant.uuid()))
        .bind(column(places, |(_, pool)| pool.as_str()))
        .execute(db)
        .await?;
    Ok(())
}
