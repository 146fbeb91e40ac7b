//! The run behind a call: created, and waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Map, Value};
use tenure_core::run::{RetryPolicy, WaitReason};
use tenure_core::{Budget, Digest, Error, ErrorKind, Name, Payload, RunId, RunState};
use tenure_store::FullRun;

use super::super::Api;
use super::caller::Caller;
use super::refusal::Refusal;
use crate::service::{CreateRun, RunEvent, WatchRun};

/// How long to wait for a run before looking at each of its changes: most have ended by then, and
/// the others are watched for whatever keeps them from it.
const SHORT: Duration = Duration::from_millis(500);
/// A watch after every entry: it shows the run alone.
pub(super) const QUIET: WatchRun = WatchRun { after: u64::MAX / 2, stream: false };

/// What is asked of which agent.
pub(super) struct Call {
    /// An agent, with `@` and an alias or a version if need be.
    pub(super) model: String,
    pub(super) input: Payload,
    pub(super) labels: BTreeMap<String, String>,
    /// Under which key the run is created only once.
    pub(super) key: Option<String>,
}

/// The agent that a request is for: that of its path, or else that of its model; and the model
/// as the client called it.
pub(super) fn model(
    caller: &Caller,
    body: &Map<String, Value>,
) -> Result<(String, String), Refusal> {
    let named = match body.get("model") {
        Some(Value::String(name)) if !name.is_empty() => Some(name.clone()),
        None | Some(Value::Null | Value::String(_)) => None,
        Some(_) => return Err(Refusal::wrong("model", "invalid_type", "`model` must be a text")),
    };
    match (&caller.agent, named) {
        (Some(agent), named) => Ok((agent.clone(), named.unwrap_or_else(|| agent.clone()))),
        (None, Some(named)) => Ok((named.clone(), named)),
        (None, None) => Err(Refusal::wrong("model", "missing", "`model` must name an agent")),
    }
}

/// An agent's name and what follows it, an alias or a version; empty for the newest.
pub(super) fn selected(model: &str) -> Result<(Name, &str), Refusal> {
    let (name, version) = model.split_once('@').unwrap_or((model, ""));
    let missing = || {
        let shown: String = model.escape_debug().take(64).collect();
        Refusal::no_model(format!("there is no agent `{shown}`"))
    };
    Ok((name.parse().map_err(|_| missing())?, version))
}

impl Api {
    /// Creates the run of a call, or finds the one that the same call created before; as it is
    /// after `wait`.
    pub(super) async fn start(
        &self,
        caller: &Caller,
        call: Call,
        wait: Duration,
    ) -> Result<FullRun, Refusal> {
        let (agent, version) = selected(&call.model)?;
        let tenant = caller.tenant()?;
        let digest = digest(&call);
        let request = CreateRun {
            tenant: tenant.clone(),
            agent,
            version: version.to_owned(),
            input: call.input,
            labels: call.labels,
            start_after: Duration::ZERO,
            idempotency: call.key.map(|key| (key, digest)),
            max_attempts: None,
            retry: RetryPolicy::default(),
            priority: 0,
            timeout: None,
            concurrency: None,
            budget: Budget::default(),
        };
        match self.service.create_run(request, wait).await {
            Ok(created) => Ok(created),
            Err(error) => Err(self.no_model(&tenant, error).await),
        }
    }

    /// An agent that is missing is a model that is missing, as long as the tenant is there.
    pub(super) async fn no_model(&self, tenant: &Name, error: Error) -> Refusal {
        let missing = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::WrongState);
        if missing && self.service.get_tenant(tenant).await.is_ok() {
            return Refusal::no_model(error.message());
        }
        error.into()
    }

    /// The output of a run, once it has ended. The run goes on whatever becomes of the caller.
    pub(super) async fn settled(
        &self,
        caller: &Caller,
        full: FullRun,
    ) -> Result<(FullRun, Payload), Refusal> {
        if let Some(ended) = ended(&full) {
            return ended.map(|output| (full, output));
        }
        let run = full.run.id;
        let watch = self.service.watch_run(&caller.tenant()?, run, QUIET).await?;
        let mut events = Box::pin(watch.take_until(self.shutdown.clone().cancelled_owned()));
        while let Some(event) = events.next().await {
            let RunEvent::Run(full) = event? else { continue };
            if let Some(ended) = ended(&full) {
                return ended.map(|output| (*full, output));
            }
        }
        Err(stopping(caller, run))
    }

    /// The settled run of a call.
    pub(super) async fn ask(
        &self,
        caller: &Caller,
        call: Call,
    ) -> Result<(FullRun, Payload), Refusal> {
        let full = self.start(caller, call, SHORT).await?;
        self.settled(caller, full).await
    }
}

/// What makes a call the same call. Whether it is streamed does not.
fn digest(call: &Call) -> Digest {
    let parts = [call.model.as_bytes(), call.input.content_type.as_bytes(), &call.input.data];
    let labels = call.labels.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
    let parts = parts.into_iter().chain(labels);
    Digest::of(parts.flat_map(|part| Digest::of(part).as_bytes().to_owned()).collect::<Vec<_>>())
}

/// The output of a run that has ended, or why it will not without somebody's help. `None` while it
/// is under way.
pub(super) fn ended(full: &FullRun) -> Option<Result<Payload, Refusal>> {
    let run = full.run.id;
    let stuck = |code: &str, why: String| Some(Err(Refusal::stuck(run, code, why)));
    match &full.run.state {
        RunState::Succeeded { output, .. } => Some(Ok(output.clone())),
        RunState::Failed { failure, .. } => {
            Some(Err(Refusal::failed(run, &failure.code, &failure.message)))
        }
        RunState::Cancelled { by, .. } => stuck(
            "run_cancelled",
            format!("run {run} was cancelled by {}: {}", by.actor, by.reason),
        ),
        RunState::Waiting { reason: WaitReason::Blocked(failure) } => stuck(
            "run_blocked",
            format!("run {run} is blocked and needs a decision: {}", failure.message),
        ),
        RunState::Waiting { reason: WaitReason::Paused(by) } => stuck(
            "run_paused",
            format!(
                "run {run} was paused by {}: {}; it goes on once it is resumed",
                by.actor, by.reason
            ),
        ),
        RunState::Waiting { reason: WaitReason::Inbox { .. } } if full.run.interrupts > 0 => stuck(
            "run_waiting",
            format!(
                "run {run} waits for a person's answer (`tenure inbox list --run {run}`); once it has \
                 one, the same request with the same Idempotency-Key gets the result"
            ),
        ),
        RunState::Waiting { .. } | RunState::Queued { .. } | RunState::Running { .. } => None,
    }
}

/// The control plane stops while somebody waits. Only a request with a key can come again without
/// making a second run.
pub(super) fn stopping(caller: &Caller, run: RunId) -> Refusal {
    let message = format!(
        "the control plane is stopping; run {run} goes on, and the same request with the same \
         Idempotency-Key gets its result"
    );
    let stopping = Refusal::from(Error::new(ErrorKind::Unavailable, message));
    stopping.about(run, caller.is_repeatable())
}
