//! The use cases over real gRPC, against SQLite in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod agents;
mod allowances;
mod batches;
mod calls;
mod ends;
mod forks;
mod inbox;
mod json;
mod leases;
mod memory;
mod openai;
mod queue;
mod runs;
mod seats;
mod steering;
mod streams;
mod turns;
mod waits;
mod why;
mod wire;
mod worker;

use tenure_sdk::v1;
use tenure_testkit::app::{App, quick};

/// A status as tests compare it: code and message.
fn said(status: &tonic::Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

/// A worker that is driven by hand.
struct Hand {
    app: App,
    worker: String,
}

impl Hand {
    async fn start() -> Self {
        Self::with(quick()).await
    }

    async fn with(settings: tenure_server::Settings) -> Self {
        let store = tenure_store::open("sqlite::memory:").await.unwrap();
        let app = App::over(store, settings).await;
        app.publish("hello").await;
        Self { app, worker: "wkr_01h455vb4pex5vsknk084sn02q".into() }
    }

    /// Leases the next run of the pool `hello`, if there is one within `wait` milliseconds.
    async fn poll(&self, wait: u64) -> Option<v1::LeasedRun> {
        use v1::poll_response::Result as Polled;
        let request = v1::PollRequest {
            tenants: vec!["default".into()],
            worker: self.worker.clone(),
            pools: vec!["hello".into()],
            capacity: 1,
            wait: Some(std::time::Duration::from_millis(wait).into()),
        };
        match self.app.client.workers().poll(request).await.unwrap().into_inner().result.unwrap() {
            Polled::Dispatched(mut dispatched) => dispatched.runs.pop(),
            Polled::Noop(_) => None,
            Polled::Backpressure(pressure) => panic!("{pressure:?}"),
        }
    }

    async fn leased(&self) -> v1::LeasedRun {
        self.poll(20_000).await.expect("a run is ready")
    }

    async fn commit(
        &self,
        request: v1::CommitRequest,
    ) -> Result<v1::CommitResponse, tonic::Status> {
        Ok(self.app.client.workers().commit(request).await?.into_inner())
    }

    /// Creates a run of `hello`, made different from the usual one; its id.
    async fn create(&self, with: impl FnOnce(&mut v1::CreateRunRequest)) -> String {
        let created = self.try_create(with).await;
        created.expect("the run can be created").id
    }

    async fn try_create(
        &self,
        with: impl FnOnce(&mut v1::CreateRunRequest),
    ) -> Result<v1::Run, tonic::Status> {
        let mut request = v1::CreateRunRequest {
            tenant: "default".into(),
            agent: "hello".into(),
            ..v1::CreateRunRequest::default()
        };
        with(&mut request);
        Ok(self.app.client.runs().create_run(request).await?.into_inner())
    }

    /// Parks a leased run that has seen nothing of its inbox.
    async fn suspend(&self, run: &v1::LeasedRun, seq: u64, on: &[&str]) {
        self.commit(end(run, seq, suspend(run.inbox, on))).await.unwrap();
    }

    /// Opens a question, or a call, and parks.
    async fn ask(&self, run: &v1::LeasedRun, seq: u64, key: &str, opening: v1::opening::Opening) {
        let request = v1::CommitRequest {
            records: vec![opened(key, opening)],
            ..end(run, seq, suspend(run.inbox, &[key]))
        };
        self.commit(request).await.unwrap();
    }

    /// What is in the inbox of a run.
    async fn inbox(&self, run: &str) -> Vec<v1::InboxItem> {
        let request = v1::ReadInboxRequest { tenant: "default".into(), run: run.into(), after: 0 };
        self.app.client.workers().read_inbox(request).await.unwrap().into_inner().items
    }

    async fn beat(&self, run: &v1::LeasedRun) -> Vec<v1::LeaseNews> {
        let held = v1::HeldLease {
            run: run.run.clone(),
            lease: run.lease.clone(),
            ..v1::HeldLease::default()
        };
        let request = v1::HeartbeatRequest {
            tenant: "default".into(),
            worker: self.worker.clone(),
            leases: vec![held],
            wait: None,
        };
        self.app.client.workers().heartbeat(request).await.unwrap().into_inner().news
    }
}

fn record(key: &str, json: &str) -> v1::Record {
    let payload = v1::Payload {
        content_type: "application/json".into(),
        encoding: String::new(),
        data: json.to_owned().into(),
    };
    v1::Record {
        key: key.into(),
        kind: v1::EntryKind::Step.into(),
        status: Some(v1::record::Status::Succeeded(payload)),
        attempt: 1,
        ..v1::Record::default()
    }
}

/// A commit of these keys at this place.
fn append(run: &v1::LeasedRun, expected_seq: u64, keys: &[&str]) -> v1::CommitRequest {
    v1::CommitRequest {
        tenant: "default".into(),
        run: run.run.clone(),
        lease: run.lease.clone(),
        expected_seq,
        records: keys.iter().map(|key| record(key, "1")).collect(),
        outcome: None,
    }
}

/// A commit that ends the lease.
fn end(run: &v1::LeasedRun, expected_seq: u64, outcome: v1::outcome::Outcome) -> v1::CommitRequest {
    let outcome = Some(v1::Outcome { outcome: Some(outcome) });
    v1::CommitRequest { outcome, ..append(run, expected_seq, &[]) }
}

fn succeed() -> v1::outcome::Outcome {
    v1::outcome::Outcome::Succeed(v1::Payload {
        content_type: "application/json".into(),
        encoding: String::new(),
        data: "42".into(),
    })
}

fn suspend(inbox: u64, on: &[&str]) -> v1::outcome::Outcome {
    let on = on.iter().map(ToString::to_string).collect();
    v1::outcome::Outcome::Suspend(v1::Suspend { inbox, wake_after: None, on })
}

fn block() -> v1::outcome::Outcome {
    v1::outcome::Outcome::Block(v1::Failure {
        code: "mismatch".into(),
        message: "entry `plan` does not fit the code".into(),
        retryable: false,
    })
}

fn fail(code: &str, retryable: bool) -> v1::outcome::Outcome {
    let failure = v1::Failure { code: code.into(), message: "it broke".into(), retryable };
    v1::outcome::Outcome::Fail(v1::Fail { failure: Some(failure), ..v1::Fail::default() })
}

/// A record that only opens something.
fn opened(key: &str, opening: v1::opening::Opening) -> v1::Record {
    let status = v1::record::Status::Opened(v1::Opening { opening: Some(opening) });
    v1::Record { kind: v1::EntryKind::Wait.into(), status: Some(status), ..record(key, "") }
}

fn json(text: &str) -> v1::Payload {
    v1::Payload {
        content_type: "application/json".into(),
        encoding: String::new(),
        data: text.to_owned().into(),
    }
}

fn steering(actor: &str, reason: &str) -> v1::Steering {
    v1::Steering { actor: actor.into(), reason: reason.into() }
}
