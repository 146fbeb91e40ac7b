//! Create: a run enters its pool's queue. Acknowledged means committed (ACKED-RUNS).

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::agent::Agent;
use tenure_core::run::{Concurrency, NewRun, Parent, RetryPolicy};
use tenure_core::steering::RESERVED;
use tenure_core::{Digest, Error, Name, Payload, Result, RunId, TenantId, limits, text};
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
    /// What happens when it fails in a way that another attempt may mend.
    pub retry: RetryPolicy,
    /// Higher ones are leased first.
    pub priority: i32,
    /// How long it may take in all.
    pub timeout: Option<Duration>,
    /// With whom it takes turns.
    pub concurrency: Option<Concurrency>,
}

/// What a new run may have besides what a caller asks for.
#[derive(Default)]
pub(super) struct Origin {
    /// The run that called it, and how many are above it.
    pub(super) parent: Option<(Parent, u32)>,
    /// The run whose journal it only checks.
    pub(super) check: Option<RunId>,
}

impl Service {
    /// Creates a run, or returns the one that the same request created before.
    pub async fn create_run(&self, request: CreateRun) -> Result<FullRun> {
        let tenant = self.tenant_id(&request.tenant).await?;
        if let Some((key, _)) = &request.idempotency {
            check_key(key)?;
        }
        self.create(tenant, request, Origin::default()).await
    }

    pub(super) async fn create(
        &self,
        tenant: TenantId,
        request: CreateRun,
        origin: Origin,
    ) -> Result<FullRun> {
        let agent = self.agent(tenant, &request.agent).await?;
        let id = RunId::new(self.entropy.object_id());
        let key = request.idempotency.clone();
        let key = key.map(|(key, digest)| RunKey { tenant, key, digest, run: id });
        let new = self.new_run(id, tenant, &agent, request, origin).await?;
        let (input, labels) = (new.input.clone(), new.labels.clone());
        let done = self.ledger.apply(Command::Create { new: Box::new(new), key }).await?;
        if done.changed {
            let run = (*done.run).clone();
            return Ok(FullRun { run, agent: agent.name, input, labels });
        }
        self.full_run(tenant, done.run.id).await
    }

    /// What the run will be made of, checked before its key is reserved: a refused request must not
    /// leave that behind.
    async fn new_run(
        &self,
        id: RunId,
        tenant: TenantId,
        agent: &Agent,
        request: CreateRun,
        origin: Origin,
    ) -> Result<NewRun> {
        let version = self.select_version(tenant, agent, &request.version).await?;
        let (parent, depth) = match origin.parent {
            Some((parent, depth)) => (Some(parent), depth),
            None => (None, 0),
        };
        NewRun {
            id,
            tenant,
            agent: agent.id,
            version: version.number,
            pool: version.pool.clone(),
            input: request.input,
            labels: request.labels,
            start_after: request.start_after,
            max_attempts: request.max_attempts,
            retry: request.retry,
            priority: request.priority,
            timeout: request.timeout,
            concurrency: request.concurrency,
            parent,
            depth,
            entries: 0,
            check: origin.check,
        }
        .checked()
    }
}

/// Refuses idempotency keys that are too long, or the system's own.
pub(super) fn check_key(key: &str) -> Result<()> {
    text::check("the idempotency key", key, limits::IDEMPOTENCY_KEY)?;
    if key.starts_with(RESERVED) {
        return Err(Error::invalid(format!(
            "idempotency keys that begin with `{RESERVED}` are the system's own: use another"
        )));
    }
    Ok(())
}
