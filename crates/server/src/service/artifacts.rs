//! Artifacts: put, list, get.

use bytes::Bytes;
use tenure_core::agent::Artifact;
use tenure_core::{ArtifactId, Digest, Error, LeaseId, Name, Result, RunId, key, limits, text};
use tenure_store::{ArtifactRow, Locked};

use super::Service;

impl Service {
    /// Keeps bytes as an artifact of a leased run. The same name with the same content is the same
    /// artifact; with other content it is a conflict.
    pub async fn put_artifact(
        &self,
        tenant: &Name,
        run: RunId,
        lease: LeaseId,
        name: String,
        content_type: String,
        data: Bytes,
    ) -> Result<Artifact> {
        check_name(&name)?;
        let what = format!("the content type of artifact `{name}`");
        text::check(what, &content_type, limits::NAME)?;
        if data.len() > limits::ARTIFACT {
            let what = format!("artifact `{name}` in bytes");
            return Err(Error::too_large(what, data.len(), limits::ARTIFACT));
        }
        let tenant = self.tenant_id(tenant).await?;
        let mut tx = self.store.begin().await?;
        let (created_at, locked) = tx.lock_runs(&[(tenant, run)]).await?;
        match locked.into_iter().next() {
            Some(Locked::Run(run)) if run.lease_held().is_some_and(|held| held.id == lease) => {}
            Some(Locked::Run(run)) => {
                return Err(Error::lease_lost(format!("{} is not leased to you; drop it", run.id)));
            }
            Some(Locked::Busy) => {
                return Err(Error::unavailable("the run is busy; try again", run));
            }
            Some(Locked::Missing) | None => {
                return Err(Error::not_found(format!("there is no run {run}")));
            }
        }
        let id = ArtifactId::new(self.entropy.object_id());
        let digest = Digest::of(&data);
        let artifact = Artifact { id, run, name, content_type, digest, data, created_at };
        match tx.put_artifact(tenant, &artifact).await? {
            None => tx.commit().await.map(|()| artifact).map_err(Into::into),
            Some(there) if there.digest == artifact.digest => Ok(there),
            Some(there) => Err(Error::already_exists(format!(
                "artifact `{}` of {run} has other content; use another name",
                there.name
            ))),
        }
    }

    /// The artifacts of a run by name, with empty data.
    pub async fn list_artifacts(&self, tenant: &Name, run: RunId) -> Result<Vec<ArtifactRow>> {
        let tenant = self.tenant_id(tenant).await?;
        let artifacts = self.store.list_artifacts(tenant, run).await?;
        if artifacts.is_empty() {
            self.full_run(tenant, run).await?;
        }
        Ok(artifacts)
    }

    /// One artifact with its bytes.
    pub async fn get_artifact(&self, tenant: &Name, run: RunId, name: &str) -> Result<Artifact> {
        let tenant = self.tenant_id(tenant).await?;
        let found = self.store.find_artifact(tenant, run, name).await?;
        let name = name.escape_debug().take(limits::NAME).collect::<String>();
        found.ok_or_else(|| Error::not_found(format!("{run} has no artifact `{name}`")))
    }
}

/// A name that can stand in a journal key and a file system.
fn check_name(name: &str) -> Result<()> {
    if name.len() <= limits::NAME && key::is_part(name) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{}` cannot name an artifact: use 1 to {} of A-Z, a-z, 0-9, `.`, `_`, `-`, `:`",
        name.escape_debug().take(64).collect::<String>(),
        limits::NAME
    )))
}
