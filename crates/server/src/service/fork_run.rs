//! Fork: a new run begins with what another has recorded.

use std::collections::BTreeMap;

use tenure_core::run::NewRun;
use tenure_core::{
    Digest, Error, Key, Name, Payload, Result, Run, RunId, RunState, TenantId, Transition,
};
use tenure_store::{FullRun, Prefix, RunKey};

use super::create_run::check_key;
use super::{Service, effects};

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct ForkRun {
    /// Whose run.
    pub tenant: Name,
    /// The run whose journal it begins with.
    pub run: RunId,
    /// Where to stop: before the entry with this key.
    pub from_step: Option<Key>,
    /// A version's number, an alias, or nothing for the other run's.
    pub version: String,
    /// Take what tools gave behind that place from the other run as well.
    pub tools_recorded: bool,
    /// What it is given; `None` for what the other run was given.
    pub input: Option<Payload>,
    /// Words to find it by; none for the other run's.
    pub labels: BTreeMap<String, String>,
    /// Under which key, and the digest of the whole request.
    pub idempotency: Option<(String, Digest)>,
}

impl Service {
    /// Forks a run, or returns the one that the same request created before.
    pub async fn fork_run(&self, request: ForkRun) -> Result<FullRun> {
        let tenant = self.tenant_id(&request.tenant).await?;
        let from = self.full_run(tenant, request.run).await?;
        let id = RunId::new(self.entropy.object_id());
        let new = self.forked(id, &from, &request).await?.checked()?;
        let (input, labels) = (new.input.clone(), new.labels.clone());
        let prefix = Prefix {
            before: request.from_step.clone(),
            tools: request.tools_recorded,
            without: final_failure(&from.run, request.from_step.is_some()),
        };
        let key = match request.idempotency {
            Some((key, digest)) => {
                check_key(&key)?;
                Some(RunKey { tenant, key, digest, run: id })
            }
            None => None,
        };
        match self.copy(tenant, &from.run, new, &prefix, key).await? {
            Ok(run) => Ok(FullRun { run, agent: from.agent, input, labels }),
            Err(first) => self.full_run(tenant, first).await,
        }
    }

    /// What the new run is made of, but for the length of its journal.
    async fn forked(&self, id: RunId, from: &FullRun, request: &ForkRun) -> Result<NewRun> {
        let (tenant, run) = (from.run.tenant, &from.run);
        let agent = self.agent(tenant, &from.agent).await?;
        let pinned = run.version.to_string();
        let version = if request.version.is_empty() { &pinned } else { &request.version };
        let version = self.select_version(tenant, &agent, version).await?;
        let labels = if request.labels.is_empty() { &from.labels } else { &request.labels };
        Ok(NewRun {
            id,
            tenant,
            agent: agent.id,
            version: version.number,
            pool: version.pool.clone(),
            input: request.input.clone().unwrap_or_else(|| from.input.clone()),
            labels: labels.clone(),
            start_after: std::time::Duration::ZERO,
            max_attempts: Some(run.max_attempts),
            retry: run.retry,
            priority: run.priority,
            timeout: None,
            concurrency: None,
            parent: None,
            depth: run.depth,
            entries: 0,
            check: None,
            budget: run.budget,
        })
    }

    /// Copies the journal and creates the run in one transaction; or the run that the same request
    /// created before.
    async fn copy(
        &self,
        tenant: TenantId,
        from: &Run,
        mut new: NewRun,
        prefix: &Prefix,
        key: Option<RunKey>,
    ) -> Result<Result<Run, RunId>> {
        let mut tx = self.store.begin().await?;
        if let Some(key) = key {
            let taken = tx.reserve_keys(std::slice::from_ref(&key)).await?.remove(0);
            match taken {
                Some(first) if first.digest == key.digest => return Ok(Err(first.run)),
                Some(first) => {
                    return Err(Error::already_exists(format!(
                        "idempotency key `{}` was used for another request, which created {}",
                        key.key, first.run
                    )));
                }
                None => {}
            }
        }
        let copied = tx.copy_journal(tenant, from.id, new.id, prefix).await?;
        new.entries = copied.ok_or_else(|| {
            let step = prefix.before.as_ref().map(ToString::to_string).unwrap_or_default();
            Error::not_found(format!("{} has no entry `{step}` to fork from", from.id))
        })?;
        let now = tx.now().await?;
        let created: Transition = Run::create(new, true, now)?;
        tx.save(std::slice::from_ref(&created)).await?;
        tx.commit().await?;
        effects::tell(&self.wake, std::slice::from_ref(&created));
        Ok(Ok(created.run))
    }
}

/// The failure that ended a run whose whole journal is taken: the step that recorded it gets another
/// chance.
fn final_failure(run: &Run, cut: bool) -> Option<tenure_core::Failure> {
    match &run.state {
        RunState::Failed { failure, .. } if !cut => Some(failure.clone()),
        RunState::Failed { .. }
        | RunState::Queued { .. }
        | RunState::Running { .. }
        | RunState::Waiting { .. }
        | RunState::Succeeded { .. }
        | RunState::Cancelled { .. } => None,
    }
}
