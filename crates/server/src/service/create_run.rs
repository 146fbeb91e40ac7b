//! Create: a run enters its pool's queue. Acknowledged means committed (ACKED-RUNS).

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::agent::Agent;
use tenure_core::run::{Concurrency, NewRun, Parent, RetryPolicy};
use tenure_core::steering::RESERVED;
use tenure_core::{Budget, Digest, Error, Name, Payload, Result, RunId, TenantId, limits, text};
use tenure_store::{FullRun, RunKey, SeenAgent};

use super::Service;

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
    /// What it may use at most, the runs that it calls included.
    pub budget: Budget,
}

/// What a new run may have besides what a caller asks for.
#[derive(Clone, Default)]
pub(super) struct Origin {
    /// The run that called it, and how many are above it.
    pub(super) parent: Option<(Parent, u32)>,
    /// The run whose journal it only checks.
    pub(super) check: Option<RunId>,
}

/// How often an agent is looked up that was published just then.
const LOOKS: usize = 5;

impl Service {
    /// Creates a run, or returns the one that the same request created before; as it is when it has
    /// ended, or after `wait`.
    pub async fn create_run(&self, request: CreateRun, wait: Duration) -> Result<FullRun> {
        let tenant = self.tenant_id(&request.tenant).await?;
        if let Some((key, _)) = &request.idempotency {
            check_key(key)?;
        }
        let created = self.create(tenant, request, Origin::default()).await?;
        self.when_ended(created, wait).await
    }

    pub(super) async fn create(
        &self,
        tenant: TenantId,
        request: CreateRun,
        origin: Origin,
    ) -> Result<FullRun> {
        let id = RunId::new(self.entropy.object_id());
        for _ in 0..LOOKS {
            if let Some(created) = self.create_as_seen(id, tenant, &request, &origin).await? {
                return Ok(created);
            }
            self.forget_agent(tenant, &request.agent);
        }
        let what = format!("agent `{}` changes all the time; try again", request.agent);
        Err(Error::unavailable(what, "an agent was stale at every look"))
    }

    /// Creates it, unless the agent has changed since it was seen.
    async fn create_as_seen(
        &self,
        id: RunId,
        tenant: TenantId,
        request: &CreateRun,
        origin: &Origin,
    ) -> Result<Option<FullRun>> {
        let (agent, uncapped) = match origin.parent {
            None => self.seen_agent(&request.tenant, tenant, &request.agent).await?,
            Some(_) => (self.agent(tenant, &request.agent).await?, false),
        };
        let key = request.idempotency.clone();
        let key = key.map(|(key, digest)| RunKey { tenant, key, digest, run: id });
        let new = self.new_run(id, tenant, &agent, request.clone(), origin.clone()).await?;
        let (input, labels) = (new.input.clone(), new.labels.clone());
        let seen = SeenAgent { tenant, agent: agent.id, latest: agent.latest, uncapped };
        let Some(done) = self.ledger.create(new, key, seen).await? else { return Ok(None) };
        if done.changed {
            let run = (*done.run).clone();
            return Ok(Some(FullRun { run, agent: agent.name, input, labels }));
        }
        Ok(Some(self.full_run(tenant, done.run.id).await?))
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
            budget: request.budget,
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
