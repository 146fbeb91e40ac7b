//! A control plane and a worker in this process, whose models and hooks play scripts.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tenure_agents::{Interpreter, Settings};
use tenure_sdk::{Worker, v1};
use tenure_spec::{DataType, Problems};
use tenure_testkit::app::App;
use tokio_util::sync::CancellationToken;

use crate::case::{Case, Step};
use crate::script::Script;

/// Where cases are run, one after the other.
pub(crate) struct Rig {
    app: App,
    script: Arc<Script>,
    /// What the worker may read: nothing.
    _files: TempDir,
}

/// What came out of a case.
pub(crate) enum Found {
    /// The document was refused before anything ran.
    Refused(Problems),
    /// A run ended.
    Ended(Box<Ended>),
}

/// A run that ended.
pub(crate) struct Ended {
    pub(crate) output: Result<Value, String>,
    pub(crate) output_type: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) model_calls: Vec<Value>,
    pub(crate) hook_calls: Vec<Value>,
}

/// What the interpreter records of an attempt.
#[derive(Deserialize)]
struct Attempted {
    node: String,
    input_type: DataType,
    output_type: DataType,
    composed_type: Option<DataType>,
    value: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    input: String,
    #[serde(default)]
    output: String,
}

impl Rig {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let files = tempfile::tempdir()?;
        let script = Arc::new(Script::default());
        let interpreter = Interpreter::new(Settings::new(files.path()))?;
        let interpreter = interpreter.routed(script.clone(), script.clone());
        let app = App::start().await;
        let worker = Worker::new(app.client.clone()).pool("default".parse()?);
        let worker = worker.interpreter(move |ctx, input| {
            let interpreter = interpreter.clone();
            async move { interpreter.run(ctx, input).await }
        });
        tokio::spawn(worker.run(CancellationToken::new()));
        Ok(Self { app, script, _files: files })
    }

    pub(crate) async fn run(&self, case: &Case) -> anyhow::Result<Found> {
        let document = case.document();
        let spec = match tenure_spec::parse(&document) {
            Ok(spec) => spec,
            Err(problems) => return Ok(Found::Refused(problems)),
        };
        self.script.begin(case);
        let publish = v1::PublishVersionRequest { tenant: "default".into(), document };
        let published = self.app.client.agents().publish_version(publish).await?.into_inner();
        let version = published.version.unwrap_or_default().number;
        let run = self.create(&spec.name, version, &case.input).await?;
        let run = self.app.ended(&run).await;
        let attempts = self.attempts(&run.id).await?;
        let last = attempts.last().map(|last| last.composed_type.unwrap_or(last.output_type));
        let (model_calls, hook_calls) = self.script.calls();
        Ok(Found::Ended(Box::new(Ended {
            output: output(&run)?,
            output_type: last.unwrap_or_default().name().into(),
            steps: attempts.into_iter().map(|attempt| attempt.step(case)).collect(),
            model_calls,
            hook_calls,
        })))
    }

    /// Cases share the names of their chains, so a run names its version.
    async fn create(&self, agent: &str, version: u32, input: &Value) -> anyhow::Result<String> {
        let request = v1::CreateRunRequest {
            tenant: "default".into(),
            agent: agent.into(),
            version: version.to_string(),
            input: Some(v1::Payload {
                content_type: "application/json".into(),
                encoding: String::new(),
                data: input.to_string().into(),
            }),
            ..v1::CreateRunRequest::default()
        };
        Ok(self.app.client.runs().create_run(request).await?.into_inner().id)
    }

    /// The attempts of a run, from its journal.
    async fn attempts(&self, run: &str) -> anyhow::Result<Vec<Attempted>> {
        let records = self.app.journal(run).await.into_iter().filter_map(|entry| entry.record);
        let name = |key: &str| {
            key.rsplit('/').next().and_then(|last| last.split('#').next()) == Some("attempt")
        };
        let payloads =
            records.filter(|record| name(&record.key)).filter_map(|record| match record.status {
                Some(v1::record::Status::Succeeded(payload)) => Some(payload),
                _ => None,
            });
        payloads.map(|payload| Ok(serde_json::from_slice(&payload.data)?)).collect()
    }
}

impl Attempted {
    fn step(self, case: &Case) -> Step {
        let of = |task: &&Value| task.get("id").and_then(Value::as_str) == Some(&self.node);
        let handler = case.tasks().iter().find(of).and_then(|task| task.get("handler")?.as_str());
        Step {
            task_handler: handler.unwrap_or_default().into(),
            input_type: self.input_type.name().into(),
            output_type: self.output_type.name().into(),
            task: self.node,
            transition: self.value,
            error: self.error,
            input: self.input,
            output: self.output,
        }
    }
}

fn output(run: &v1::Run) -> anyhow::Result<Result<Value, String>> {
    Ok(match (&run.output, &run.failure) {
        (Some(output), _) if run.state() == v1::RunState::Succeeded => {
            Ok(serde_json::from_slice(&output.data)?)
        }
        (_, Some(failure)) => Err(failure.message.clone()),
        _ => Err(format!("the run is {:?}", run.state())),
    })
}
