//! The interpreter behind a worker of the SDK, against a control plane in this process.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tenure_agents::{Hook, Interpreter, ModelConfig, Settings};
use tenure_sdk::{Client, Observer, Worker, v1};
use tenure_testkit::app::{App, client};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Longer than a lease lasts.
const LEASE: Duration = Duration::from_mins(1);
/// Longer than it takes to take a run over, on a machine that is not slow.
const ROUND: Duration = Duration::from_secs(2);

/// A control plane and a folder of documents.
pub(crate) struct Rig {
    pub(crate) app: App,
    /// The hooks that workers know.
    pub(crate) hooks: Vec<Hook>,
    /// What workers are told beside the hooks and the models.
    pub(crate) base: Settings,
    pub(crate) policy: Option<tenure_spec::Policy>,
    pub(crate) files: TempDir,
}

/// A worker as a process would be: with threads of its own, which a kill ends together.
pub(crate) struct Process(Option<Runtime>);

/// Sees nothing.
pub(crate) struct Nobody;

impl Observer for Nobody {}

impl Rig {
    /// With these files, each a path and a text.
    pub(crate) async fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = Settings::new(folder.path());
        let app = App::start().await;
        let rig = Self { app, hooks: Vec::new(), base, policy: None, files: folder };
        rig.write(files);
        rig
    }

    /// Writes files, each a path and a text.
    pub(crate) fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.files.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    /// The publication of a specification at a control plane; the version's number.
    pub(crate) async fn publish_at(app: &App, document: &str) -> u32 {
        let request =
            v1::PublishVersionRequest { tenant: "default".into(), document: document.into() };
        let published = app.client.agents().publish_version(request).await.unwrap();
        published.into_inner().version.unwrap().number
    }

    /// Publishes a specification, whose pool is `default`; the version's number.
    pub(crate) async fn publish(&self, document: &str) -> u32 {
        Self::publish_at(&self.app, document).await
    }

    /// A worker on the test's own runtime, with which it ends.
    pub(crate) fn work(&self, models: ModelConfig, observer: Arc<dyn Observer>) {
        let worker = worker(self.app.client.clone(), self.interpreter(models), observer);
        tokio::spawn(worker.run(CancellationToken::new()));
    }

    /// A worker that can be killed.
    pub(crate) fn process(&self, models: ModelConfig, observer: Arc<dyn Observer>) -> Process {
        process(&self.app, self.interpreter(models), observer)
    }

    /// What executes the runs of a worker.
    pub(crate) fn interpreter(&self, models: ModelConfig) -> Interpreter {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (hooks, policy) = (self.hooks.clone(), self.policy.clone());
        Interpreter::new(Settings { models, hooks, policy, ..self.base.clone() }).unwrap()
    }

    /// Publishes, runs without keys and waits for the end.
    pub(crate) async fn ended(&self, document: &str, observer: Arc<dyn Observer>) -> v1::Run {
        self.publish(document).await;
        self.work(ModelConfig::default(), observer);
        let agent = tenure_spec::parse(document).unwrap().name;
        let run = self.app.create(&agent, r#""Begin.""#).await;
        self.app.ended(&run).await
    }

    /// Waits for the end of a run whose worker `dead` has been killed.
    pub(crate) async fn ended_after(&self, dead: &str, run: &str) -> v1::Run {
        self.taken_after(dead, run).await;
        self.app.ended(run).await
    }

    /// Waits until another worker has the run of the worker `dead`, or is through with it.
    pub(crate) async fn taken_after(&self, dead: &str, run: &str) {
        let elsewhere = |run: &v1::Run| {
            (!run.worker.is_empty() && run.worker != dead) || run.state() == v1::RunState::Waiting
        };
        loop {
            self.app.pass(LEASE).await;
            let taken = self.app.until(run, |run| elsewhere(run) || run.ended_at.is_some());
            // What the dead one had sent is still heard: a last commit extends its lease, a last
            // poll is given the run once more. Time has to pass again then.
            if tokio::time::timeout(ROUND, taken).await.is_ok() {
                return;
            }
        }
    }

    /// The records of a run by key.
    pub(crate) async fn records(&self, run: &v1::Run) -> Vec<v1::Record> {
        let entries = self.app.journal(&run.id).await.into_iter();
        let mut records: Vec<_> = entries.filter_map(|entry| entry.record).collect();
        records.sort_by(|a, b| a.key.cmp(&b.key));
        records
    }

    /// The results of the steps whose keys end so, in the order of the keys.
    pub(crate) async fn results(&self, run: &v1::Run, name: &str) -> Vec<Value> {
        let records =
            self.records(run).await.into_iter().filter(|record| record.key.ends_with(name));
        let result = |record: v1::Record| match record.status {
            Some(v1::record::Status::Succeeded(payload)) => {
                serde_json::from_slice(&payload.data).unwrap()
            }
            other => panic!("{}: {other:?}", record.key),
        };
        records.map(result).collect()
    }

    /// What the last record under a key came to: its value, or the code and message of its failure.
    pub(crate) async fn result(&self, run: &v1::Run, key: &str) -> Value {
        let records = self.records(run).await;
        let record = records.iter().rfind(|record| record.key == key).unwrap();
        match record.status.as_ref().unwrap() {
            v1::record::Status::Succeeded(payload) => {
                serde_json::from_slice(&payload.data).unwrap()
            }
            v1::record::Status::Failed(failure) => {
                serde_json::json!([failure.code, failure.message])
            }
            other => panic!("{other:?}"),
        }
    }

    /// The keys of a run, sorted: parallel calls are recorded in any order.
    pub(crate) async fn keys(&self, run: &v1::Run) -> Vec<String> {
        self.records(run).await.into_iter().map(|record| record.key).collect()
    }
}

/// A worker of this control plane that can be killed.
pub(crate) fn process(app: &App, interpreter: Interpreter, observer: Arc<dyn Observer>) -> Process {
    let (runtime, url) = (Runtime::new().unwrap(), app.url.clone());
    runtime.spawn(async move {
        let worker = worker(client(&url), interpreter, observer);
        worker.run(CancellationToken::new()).await
    });
    Process(Some(runtime))
}

fn worker(client: Client, interpreter: Interpreter, observer: Arc<dyn Observer>) -> Worker {
    Worker::new(client).pool("default".parse().unwrap()).observer(observer).interpreter(
        move |ctx, input| {
            let interpreter = interpreter.clone();
            async move { interpreter.run(ctx, input).await }
        },
    )
}

impl Process {
    /// Ends it as `kill -9` does: nothing is recorded, given back or said good-bye to.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The output of a run that succeeded.
pub(crate) fn output(run: &v1::Run) -> Value {
    assert_eq!(run.state(), v1::RunState::Succeeded, "{run:?}");
    serde_json::from_slice(&run.output.as_ref().unwrap().data).unwrap()
}

/// The failure of a run that failed.
pub(crate) fn failure(run: &v1::Run) -> &v1::Failure {
    assert_eq!(run.state(), v1::RunState::Failed, "{run:?}");
    run.failure.as_ref().unwrap()
}

/// The code that a record failed with.
pub(crate) fn failed(record: &v1::Record) -> Option<&str> {
    match &record.status {
        Some(v1::record::Status::Failed(failure)) => Some(&failure.code),
        _ => None,
    }
}
