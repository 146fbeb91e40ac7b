//! A worker that is driven by hand: it says when it polls and what it commits.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tenure_core::{Interrupt, RunId, WorkerId};
use tenure_sdk::{Client, v1};
use uuid::Builder;
use v1::opening::Opening;
use v1::outcome::Outcome;
use v1::poll_response::Result as Polled;
use v1::record::Status;

use crate::task::AGENT;

/// How long a poll waits.
const WAIT: Duration = Duration::from_secs(30);
/// Sleeps and questions that are not to end by themselves last between one and two of these.
const LONG: Duration = Duration::from_hours(24);

/// A worker.
pub(crate) struct Hand {
    client: Client,
    worker: String,
    tenants: Vec<String>,
}

/// What a run is parked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// A time.
    Timer,
    /// The answer to a question, which has a timeout.
    Question,
}

impl Hand {
    /// A worker that looks for runs of these tenants, on a connection of its own.
    pub(crate) fn new(url: &str, tenants: &[&str]) -> anyhow::Result<Self> {
        // The tenant is named with each call.
        Ok(Self::over(Client::connect(url, tenants[0].parse()?)?, tenants))
    }

    /// The same, over a connection that others may have too.
    pub(crate) fn over(client: Client, tenants: &[&str]) -> Self {
        let id = Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid();
        let worker = WorkerId::new(id).to_string();
        Self { client, worker, tenants: tenants.iter().map(ToString::to_string).collect() }
    }

    /// Leases up to so many runs; none if there was none in time.
    pub(crate) async fn poll(&self, capacity: u32) -> anyhow::Result<Vec<v1::LeasedRun>> {
        let request = v1::PollRequest {
            tenants: self.tenants.clone(),
            worker: self.worker.clone(),
            pools: vec![AGENT.into()],
            capacity,
            wait: Some(WAIT.into()),
        };
        let poll = || {
            let (mut workers, request) = (self.client.workers(), request.clone());
            async move { workers.poll(request).await }
        };
        match self.client.retry(poll).await.context("a poll was refused")?.result {
            Some(Polled::Dispatched(dispatched)) => Ok(dispatched.runs),
            Some(Polled::Noop(_)) | None => Ok(Vec::new()),
            Some(Polled::Backpressure(pressure)) => bail!("backpressure: {}", pressure.reason),
        }
    }

    /// Takes up an offer, so that the lease stands for as long as leases do.
    pub(crate) async fn hold(&self, run: &v1::LeasedRun) -> anyhow::Result<()> {
        self.commit(run, Vec::new(), None).await
    }

    /// Ends a run; its output is its input.
    pub(crate) async fn finish(&self, run: &v1::LeasedRun) -> anyhow::Result<()> {
        let output = run.input.clone().context("a run has no input")?;
        self.commit(run, Vec::new(), Some(Outcome::Succeed(output))).await
    }

    /// Parks a run as the SDK does: with a record of what it waits for. The id of the question, if
    /// it asks one.
    pub(crate) async fn park(
        &self,
        run: &v1::LeasedRun,
        rest: Rest,
    ) -> anyhow::Result<Option<String>> {
        let long = LONG.mul_f64(1.0 + fastrand::f64());
        // A key is in a journal once: this run may have been parked before.
        let (key, status, wake_after) = match rest {
            Rest::Timer => {
                let length = json(long.as_secs_f64().to_string());
                (format!("sleep#{}", run.next_seq), Status::Succeeded(length), Some(long))
            }
            Rest::Question => (format!("ask#{}", run.next_seq), question(long), None),
        };
        let interrupt = match rest {
            Rest::Timer => None,
            Rest::Question => Some(Interrupt::id_of(run.run.parse::<RunId>()?, &key.parse()?)),
        };
        let suspend = v1::Suspend {
            inbox: run.inbox,
            wake_after: wake_after.map(Into::into),
            on: vec![key.clone()],
        };
        let record = v1::Record {
            key,
            kind: v1::EntryKind::Wait.into(),
            status: Some(status),
            attempt: 1,
            ..v1::Record::default()
        };
        self.commit(run, vec![record], Some(Outcome::Suspend(suspend))).await?;
        Ok(interrupt.map(|id| id.to_string()))
    }

    async fn commit(
        &self,
        run: &v1::LeasedRun,
        records: Vec<v1::Record>,
        outcome: Option<Outcome>,
    ) -> anyhow::Result<()> {
        let request = v1::CommitRequest {
            tenant: run.tenant.clone(),
            run: run.run.clone(),
            lease: run.lease.clone(),
            expected_seq: run.next_seq,
            records,
            outcome: outcome.map(|outcome| v1::Outcome { outcome: Some(outcome) }),
        };
        let commit = || {
            let (mut workers, request) = (self.client.workers(), request.clone());
            async move { workers.commit(request).await }
        };
        let committed = self.client.retry(commit).await;
        committed.with_context(|| format!("a commit of {} was refused", run.run))?;
        Ok(())
    }
}

fn question(timeout: Duration) -> Status {
    let question = v1::Question {
        kind: v1::QuestionKind::Approval.into(),
        title: "May this happen?".into(),
        payload: Some(json(r#"{"amount": 100}"#.to_owned())),
        timeout: Some(timeout.into()),
        ..v1::Question::default()
    };
    Status::Opened(v1::Opening { opening: Some(Opening::Interrupt(question)) })
}

/// A JSON text as a payload.
pub(crate) fn json(text: String) -> v1::Payload {
    let (content_type, encoding) = ("application/json".to_owned(), String::new());
    v1::Payload { content_type, encoding, data: text.into() }
}
