//! The inbox: what others put into a run.

use sqlx::{SqliteConnection, SqlitePool};
use tenure_core::run::InboxItem;
use tenure_core::{RunId, TenantId};

use super::row::micros;
use crate::Result;
use crate::columns::{ItemColumns, int, limit as bound};
use crate::error::conflict_if_taken;
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[READ, SOURCE, RECEIVE];

const READ: &str = "-- read_inbox
SELECT tenant_id, run_id, number, source, topic, name, content_type, encoding, payload,
       failure_code, failure_message, failure_retryable, usage, at
FROM inbox
WHERE tenant_id = $1 AND run_id = $2 AND number > $3 ORDER BY number LIMIT $4";

pub(super) async fn read(
    pool: &SqlitePool,
    tenant: TenantId,
    run: RunId,
    after: u64,
    limit: usize,
) -> Result<Vec<InboxItem>> {
    let query = sqlx::query(READ).bind(tenant.uuid()).bind(run.uuid());
    let rows = query.bind(int(after)).bind(bound(limit)).fetch_all(pool).await?;
    rows.iter().map(|row| Reader::new("inbox", row).inbox_item()).collect()
}

const SOURCE: &str = "-- inbox_source
SELECT 1 FROM inbox WHERE tenant_id = $1 AND run_id = $2 AND source = $3";

pub(super) async fn sources(
    db: &mut SqliteConnection,
    sources: &[(TenantId, RunId, String)],
) -> Result<Vec<bool>> {
    let mut known = Vec::with_capacity(sources.len());
    for (tenant, run, source) in sources {
        let query = sqlx::query(SOURCE).bind(tenant.uuid()).bind(run.uuid()).bind(source);
        known.push(query.fetch_optional(&mut *db).await?.is_some());
    }
    Ok(known)
}

const RECEIVE: &str = "-- receive
INSERT INTO inbox (tenant_id, run_id, number, source, topic, name, content_type, encoding,
    payload, failure_code, failure_message, failure_retryable, usage, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

pub(super) async fn receive(db: &mut SqliteConnection, rows: &[ItemColumns<'_>]) -> Result<()> {
    for row in rows {
        sqlx::query(RECEIVE)
            .bind(row.tenant_id)
            .bind(row.run_id)
            .bind(row.number)
            .bind(row.source)
            .bind(row.topic)
            .bind(row.name)
            .bind(row.payload.content_type)
            .bind(row.payload.encoding)
            .bind(row.payload.data)
            .bind(row.failure.code)
            .bind(row.failure.message)
            .bind(row.failure.retryable)
            .bind(row.usage.as_deref())
            .bind(micros(row.at))
            .execute(&mut *db)
            .await
            .map_err(|error| conflict_if_taken(error, "an inbox has an item of that source"))?;
    }
    Ok(())
}
