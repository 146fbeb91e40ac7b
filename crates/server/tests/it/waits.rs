//! What can happen to a run, with the SDK's worker on the other end: it waits for people, times and
//! other runs, it rests, it is tried again, it is checked.

mod approvals;
mod checks;
mod children;
mod doubts;
mod parking;
mod pauses;
mod retries;
mod timers;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenure_sdk::{Worker, v1};
use tenure_testkit::app::{App, client};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{json, steering};

/// What was really done, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A worker on a runtime of its own, which can be lost without being asked.
struct Doomed(Option<Runtime>);

impl Doomed {
    fn start(app: &App, describe: impl FnOnce(Worker) -> Worker) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let worker = {
            let _within = runtime.enter();
            describe(Worker::new(client(&app.url)))
        };
        runtime.spawn(worker.run(CancellationToken::new()));
        Self(Some(runtime))
    }

    /// The process is gone, and the lease of this run runs out, if it has one.
    async fn lose(mut self, app: &App, run: &str) {
        let runtime = self.0.take().unwrap();
        let gone = move || runtime.shutdown_timeout(Duration::from_secs(10));
        tokio::task::spawn_blocking(gone).await.unwrap();
        // A last heartbeat may still be on its way, and extends the lease.
        while !app.run(run).await.worker.is_empty() {
            app.pass(Duration::from_secs(11)).await;
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits until the run is parked with so many open questions, and gives them by key.
async fn asked(app: &App, run: &str, questions: u32) -> Vec<v1::Interrupt> {
    let parked =
        |run: &v1::Run| run.state() == v1::RunState::Waiting && run.open_interrupts == questions;
    app.until(run, parked).await;
    let request = v1::ListInterruptsRequest {
        tenant: "default".into(),
        run: run.into(),
        ..v1::ListInterruptsRequest::default()
    };
    let listed = app.client.inbox().list_interrupts(request).await.unwrap().into_inner();
    let mut open = listed.interrupts;
    open.sort_by(|one, other| one.key.cmp(&other.key));
    open
}

/// Answers a question.
async fn answer(
    app: &App,
    interrupt: &v1::Interrupt,
    decision: v1::Decision,
    value: Option<&str>,
) -> Result<(), tonic::Status> {
    let answer = v1::Answer {
        decision: decision.into(),
        value: value.map(json),
        reason: "because".into(),
        actor: "ann".into(),
    };
    let request = v1::ResolveInterruptRequest {
        tenant: "default".into(),
        interrupt: interrupt.id.clone(),
        answer: Some(answer),
    };
    app.client.inbox().resolve_interrupt(request).await.map(|_| ())
}

async fn signal(app: &App, run: &str, name: &str, text: &str) {
    let request = v1::SignalRunRequest {
        tenant: "default".into(),
        run: run.into(),
        name: name.into(),
        payload: Some(json(text)),
        ..v1::SignalRunRequest::default()
    };
    app.client.runs().signal_run(request).await.unwrap();
}

async fn pause(app: &App, run: &str) -> v1::Run {
    let request = v1::PauseRunRequest {
        tenant: "default".into(),
        run: run.into(),
        steering: Some(steering("ann", "lunch")),
    };
    app.client.runs().pause_run(request).await.unwrap().into_inner()
}

async fn resume(app: &App, run: &str) {
    let request = v1::ResumeRunRequest {
        tenant: "default".into(),
        run: run.into(),
        steering: Some(steering("ann", "back")),
    };
    app.client.runs().resume_run(request).await.unwrap();
}

async fn cancel(app: &App, run: &str) {
    let request = v1::CancelRunRequest {
        tenant: "default".into(),
        run: run.into(),
        steering: Some(steering("ann", "enough")),
    };
    app.client.runs().cancel_run(request).await.unwrap();
}

/// What the run gave, as text.
fn output(run: &v1::Run) -> String {
    let output = run.output.clone().unwrap_or_else(|| panic!("it has no output: {run:?}"));
    String::from_utf8(output.data.to_vec()).unwrap()
}

/// Why the run failed or is blocked.
fn code(run: &v1::Run) -> String {
    run.failure.clone().unwrap_or_else(|| panic!("it has no failure: {run:?}")).code
}

fn is_parked(run: &v1::Run) -> bool {
    run.state() == v1::RunState::Waiting
}
