//! Pools: when somebody last asked for their runs.

use sqlx::{SqliteConnection, SqlitePool};
use tenure_core::{Name, TenantId, Timestamp};

use crate::Result;
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[POLLED_AT, NOTE_POLL];

const POLLED_AT: &str = "-- polled_at
SELECT polled_at FROM pools WHERE tenant_id = $1 AND pool = $2";

pub(super) async fn polled_at(
    db: &SqlitePool,
    tenant: TenantId,
    pool: &Name,
) -> Result<Option<Timestamp>> {
    let query = sqlx::query(POLLED_AT).bind(tenant.uuid()).bind(pool.as_str());
    let row = query.fetch_optional(db).await?;
    row.map(|row| Reader::new("pools", &row).time("polled_at")).transpose()
}

const NOTE_POLL: &str = "-- note_poll
INSERT INTO pools (tenant_id, pool, polled_at) SELECT $1, $2, now FROM tenure_clock WHERE true
ON CONFLICT (tenant_id, pool) DO UPDATE SET polled_at = excluded.polled_at";

pub(super) async fn note_polls(
    db: &mut SqliteConnection,
    places: &[(TenantId, Name)],
) -> Result<()> {
    for (tenant, pool) in places {
        let query = sqlx::query(NOTE_POLL).bind(tenant.uuid()).bind(pool.as_str());
        query.execute(&mut *db).await?;
    }
    Ok(())
}
