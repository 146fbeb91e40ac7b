//! Create: a run enters its pool's queue. Acknowledged means committed (ACKED-RUNS).

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::run::NewRun;
use tenure_core::{Digest, Name, Payload, Result, RunId, limits, text};
use tenure_store::{FullRun, RunKey};

use super::Service;
use crate::ledger::Command;

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct CreateRun {
    /// Whose run.
    pub tenant: Name,
    /// The agent.
    pub agent: Name,
    /// A version's number, an alias, or nothing for the newest.
    pub version: String,
    /// What the run is asked to do.
    pub input: Payload,
    /// Words to find it by.
    pub labels: BTreeMap<String, String>,
    /// How long it waits before the first worker may have it.
    pub start_after: Duration,
    /// Under which key, and the digest of the whole request: another request under the same key is
    /// a conflict.
    pub idempotency: Option<(String, Digest)>,
    /// Attempts it has; `None` for the usual number.
    pub max_attempts: Option<u32>,
}

impl Service {
    /// Creates a run, or returns the one that the same request created before.
    pub async fn create_run(&self, request: CreateRun) -> Result<FullRun> {
        let tenant = self.tenant_id(&request.tenant).await?;
        let agent = self.agent(tenant, &request.agent).await?;
        let version = self.select_version(tenant, &agent, &request.version).await?;
        let id = RunId::new(self.entropy.object_id());
        let new = NewRun {
            id,
            tenant,
            agent: agent.id,
            version: version.number,
            pool: version.pool.clone(),
            input: request.input,
            labels: request.labels,
            start_after: request.start_after,
            max_attempts: request.max_attempts,
        }
        // Before the key is reserved: a refused request must not leave it behind.
        .checked()?;
        let key = request.idempotency.map(|(key, digest)| RunKey { tenant, key, digest, run: id });
        if let Some(key) = &key {
            text::check("the idempotency key", &key.key, limits::IDEMPOTENCY_KEY)?;
        }
        let (input, labels) = (new.input.clone(), new.labels.clone());
        let done = self.ledger.apply(Command::Create { new: Box::new(new), key }).await?;
        if done.changed {
            let run = (*done.run).clone();
            return Ok(FullRun { run, agent: agent.name, input, labels });
        }
        self.full_run(tenant, done.run.id).await
    }
}
