//! Reading what the run has written.

use bytes::Bytes;
use tenure_core::Failure;

use super::{ArtifactRef, Context};

impl Context {
    /// The artifacts that the run has written so far, by name. Call it in a step: what there is
    /// depends on when it is asked.
    pub async fn artifacts(&self) -> Result<Vec<ArtifactRef>, Failure> {
        let artifacts = self.leased.artifacts().await?.into_iter();
        let reference = |artifact: tenure_proto::v1::Artifact| ArtifactRef {
            id: artifact.id,
            name: artifact.name,
            digest: artifact.digest,
            size: artifact.size,
        };
        let mut artifacts: Vec<_> = artifacts.map(reference).collect();
        artifacts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(artifacts)
    }

    /// The media type and the bytes of an artifact of the run. Call it in a step, as
    /// [`artifacts`](Self::artifacts).
    pub async fn artifact(&self, name: &str) -> Result<(String, Bytes), Failure> {
        let artifact = self.leased.artifact(name).await?;
        Ok((artifact.content_type, artifact.data))
    }
}
