//! The use cases over real gRPC, against SQLite in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod agents;
mod leases;
mod runs;
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
            tenant: "default".into(),
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
