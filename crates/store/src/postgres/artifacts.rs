//! Artifacts.

use sqlx::{PgConnection, PgPool};
use tenure_core::agent::Artifact;
use tenure_core::{RunId, TenantId};

use super::row::Time;
use crate::rows::Reader;
use crate::{ArtifactRow, Result};

pub(super) const STATEMENTS: &[&str] = &[LIST, FIND, PUT];

const LIST: &str = "-- list_artifacts
SELECT tenant_id, run_id, name, artifact_id, content_type, digest, created_at,
       octet_length(payload)::bigint AS size
FROM artifacts WHERE tenant_id = $1 AND run_id = $2 ORDER BY name";

pub(super) async fn list(pool: &PgPool, tenant: TenantId, run: RunId) -> Result<Vec<ArtifactRow>> {
    let query = sqlx::query(LIST).bind(tenant.uuid()).bind(run.uuid());
    let rows = query.fetch_all(pool).await?;
    rows.iter().map(|row| Reader::new("artifacts", row).artifact_row()).collect()
}

const FIND: &str = "-- find_artifact
SELECT tenant_id, run_id, name, artifact_id, content_type, digest, payload, created_at,
       octet_length(payload)::bigint AS size
FROM artifacts WHERE tenant_id = $1 AND run_id = $2 AND name = $3";

pub(super) async fn find(
    db: impl sqlx::PgExecutor<'_>,
    tenant: TenantId,
    run: RunId,
    name: &str,
) -> Result<Option<Artifact>> {
    let query = sqlx::query(FIND).bind(tenant.uuid()).bind(run.uuid()).bind(name);
    let row = query.fetch_optional(db).await?;
    row.map(|row| Reader::new("artifacts", &row).artifact()).transpose()
}

const PUT: &str = "-- put_artifact
INSERT INTO artifacts (tenant_id, run_id, name, artifact_id, content_type, digest, payload,
    created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";

pub(super) async fn put(
    db: &mut PgConnection,
    tenant: TenantId,
    artifact: &Artifact,
) -> Result<Option<Artifact>> {
    let done = sqlx::query(PUT)
        .bind(tenant.uuid())
        .bind(artifact.run.uuid())
        .bind(&artifact.name)
        .bind(artifact.id.uuid())
        .bind(&artifact.content_type)
        .bind(&artifact.digest.as_bytes()[..])
        .bind(&artifact.data[..])
        .bind(Time(artifact.created_at))
        .execute(&mut *db)
        .await?;
    match done.rows_affected() {
        1 => Ok(None),
        _ => find(db, tenant, artifact.run, &artifact.name).await,
    }
}
