//! The inbox: what others put into a run.

use std::collections::HashSet;

use sqlx::{PgConnection, PgPool};
use tenure_core::run::InboxItem;
use tenure_core::{RunId, TenantId};

use super::row::{Time, column};
use crate::Result;
use crate::columns::{ItemColumns, int, limit as bound};
use crate::error::conflict_if_taken;
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[READ, SOURCES, RECEIVE];

const READ: &str = "-- read_inbox
SELECT tenant_id, run_id, number, source, topic, name, content_type, encoding, payload,
       failure_code, failure_message, failure_retryable, usage, at
FROM inbox
WHERE tenant_id = $1 AND run_id = $2 AND number > $3 ORDER BY number LIMIT $4";

pub(super) async fn read(
    pool: &PgPool,
    tenant: TenantId,
    run: RunId,
    after: u64,
    limit: usize,
) -> Result<Vec<InboxItem>> {
    let query = sqlx::query(READ).bind(tenant.uuid()).bind(run.uuid());
    let rows = query.bind(int(after)).bind(bound(limit)).fetch_all(pool).await?;
    rows.iter().map(|row| Reader::new("inbox", row).inbox_item()).collect()
}

const SOURCES: &str = "-- inbox_sources
SELECT tenant_id, run_id, source
FROM inbox JOIN unnest($1::uuid[], $2::uuid[], $3::text[]) AS asked (tenant_id, run_id, source)
     USING (tenant_id, run_id, source)";

pub(super) async fn sources(
    db: &mut PgConnection,
    sources: &[(TenantId, RunId, String)],
) -> Result<Vec<bool>> {
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(SOURCES)
        .bind(column(sources, |(tenant, _, _)| tenant.uuid()))
        .bind(column(sources, |(_, run, _)| run.uuid()))
        .bind(column(sources, |(_, _, source)| source.as_str()))
        .fetch_all(db)
        .await?;
    let mut known = HashSet::new();
    for row in &rows {
        let row = Reader::new("inbox", row);
        let (tenant, run) = row.run_ref()?;
        known.insert((tenant, run, row.text("source")?));
    }
    Ok(sources.iter().map(|source| known.contains(source)).collect())
}

const RECEIVE: &str = "-- receive
INSERT INTO inbox (tenant_id, run_id, number, source, topic, name, content_type, encoding,
    payload, failure_code, failure_message, failure_retryable, usage, at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[],
    $7::text[], $8::text[], $9::bytea[], $10::text[], $11::text[], $12::boolean[],
    $13::text[], $14::timestamptz[])";

pub(super) async fn receive(db: &mut PgConnection, rows: &[ItemColumns<'_>]) -> Result<()> {
    sqlx::query(RECEIVE)
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.number))
        .bind(column(rows, |row| row.source))
        .bind(column(rows, |row| row.topic))
        .bind(column(rows, |row| row.name))
        .bind(column(rows, |row| row.payload.content_type))
        .bind(column(rows, |row| row.payload.encoding))
        .bind(column(rows, |row| row.payload.data))
        .bind(column(rows, |row| row.failure.code))
        .bind(column(rows, |row| row.failure.message))
        .bind(column(rows, |row| row.failure.retryable))
        .bind(column(rows, |row| row.usage.as_deref()))
        .bind(column(rows, |row| Time(row.at)))
        .execute(db)
        .await
        .map_err(|error| conflict_if_taken(error, "an inbox has an item of that source"))?;
    Ok(())
}
