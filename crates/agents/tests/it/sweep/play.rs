//! One play of an example: its worker is killed somewhere, another one goes on, a person answers.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tenure_agents::{Interpreter, ModelConfig};
use tenure_sdk::v1;
use tenure_testkit::app::App;
use tokio::task::JoinHandle;

use super::example::Example;
use super::stop::{Execution, Executions, Place, Stop};
use super::talk::Talk;
use crate::rig::{Rig, output, process};

/// Longer than a lease lasts.
const LEASE: Duration = Duration::from_mins(1);
/// How long a takeover is waited for at first.
const ROUND: Duration = Duration::from_millis(500);
/// What `once` tools write.
const LEDGER: &str = "refunds.csv";

/// What came of it.
pub(super) struct Played {
    /// The id of the run.
    pub(super) run: String,
    /// It and the runs that it called, in an order that timing does not change.
    pub(super) runs: Vec<Ended>,
    pub(super) executions: Vec<Execution>,
    /// How many requests the model got.
    pub(super) asked: usize,
    /// What the `once` tools have done.
    pub(super) effects: String,
    /// Whether the worker came to the place where it is killed.
    pub(super) killed: bool,
}

impl Played {
    /// The output of the run.
    pub(super) fn output(&self) -> &Value {
        &self.first().output
    }

    /// The artifact of the run.
    pub(super) fn report(&self) -> &str {
        &self.first().artifacts[0].1
    }

    fn first(&self) -> &Ended {
        self.runs.iter().find(|run| run.id == self.run).unwrap()
    }
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) agent: String,
    pub(super) output: Value,
    /// Each a name and a text.
    pub(super) artifacts: Vec<(String, String)>,
    pub(super) id: String,
    pub(super) journal: Vec<v1::Entry>,
}

impl Ended {
    /// What two plays must have in common: keys, without those of doubts, output and artifacts.
    pub(super) fn end(&self) -> impl PartialEq + Debug {
        let keys = self.journal.iter().filter_map(|entry| Some(&*entry.record.as_ref()?.key));
        let keys: BTreeSet<_> = keys.filter(|key| !key.contains("doubt:")).collect();
        (&self.agent, keys, &self.output, &self.artifacts)
    }
}

/// An example with what its plays share: making it takes longer than to play.
pub(super) struct Stage<'a> {
    example: &'a Example,
    rig: Rig,
    /// Of the worker that is killed, and of the one that goes on.
    interpreters: [Interpreter; 2],
}

/// A control plane, and a model that counts.
struct World {
    app: App,
    talk: Talk,
    executions: Executions,
    folder: PathBuf,
}

impl<'a> Stage<'a> {
    pub(super) async fn of(example: &'a Example) -> Self {
        let mut rig = Rig::with(&[]).await;
        rig.base.programs = example.programs.iter().map(|program| (*program).to_owned()).collect();
        rig.base.files_write = !example.programs.is_empty();
        rig.base.sandbox = Some(env!("CARGO_BIN_EXE_tenure-sandbox").into());
        let interpreters = [(); 2].map(|()| rig.interpreter(ModelConfig::default()));
        Self { example, rig, interpreters }
    }

    /// Plays it; its worker is killed at `place`.
    pub(super) async fn play(&self, place: Place) -> Played {
        self.play_with(self.example.input, place).await
    }

    /// The same with another input.
    pub(super) async fn play_with(&self, input: &str, place: Place) -> Played {
        let (world, agent) = self.open().await;
        let (stop, _keep) = Stop::at(place, &world.executions);
        let [killed, successor] = self.interpreters.clone();
        let first = process(&world.app, killed, stop.clone());
        let run = world.app.create(&agent, &json!(input).to_string()).await;
        let mut person = tokio::spawn(attend(world.clone(), run.clone()));
        let (ended, killed) = tokio::select! {
            biased;
            () = world.reached(&run, place, &stop) => {
                first.kill();
                let (calm, _keep) = Stop::at(Place::Nowhere, &world.executions);
                let _second = process(&world.app, successor, calm);
                (world.ended(&mut person).await, true)
            }
            ended = &mut person => (ended.unwrap(), false),
        };
        Played {
            run: ended.id.clone(),
            runs: world.runs(ended).await,
            executions: world.executions.lock().unwrap().clone(),
            asked: world.talk.asked(),
            effects: world.effects(),
            killed,
        }
    }

    /// The folder as it was, the agents published, and the name of the one that is run.
    async fn open(&self) -> (Arc<World>, String) {
        let folder = self.rig.files.path().to_owned();
        fs::remove_file(folder.join(LEDGER)).ok();
        let files = self.example.files();
        self.rig.write(&files.iter().map(|(path, text)| (&**path, &**text)).collect::<Vec<_>>());
        let (app, talk) = (App::start().await, Talk::start().await);
        let (texts, script) = (self.example.texts(), self.example.script());
        for text in &texts {
            Rig::publish_at(&app, &talk.instead(text, script.as_ref())).await;
        }
        let agent = tenure_spec::parse(&texts[0]).unwrap().name;
        (Arc::new(World { app, talk, executions: Executions::default(), folder }), agent)
    }
}

/// Answers what a run asks until it has ended.
async fn attend(world: Arc<World>, run: String) -> v1::Run {
    let app = &world.app;
    loop {
        let now = app.until(&run, |run| run.ended_at.is_some() || run.open_interrupts > 0).await;
        if now.ended_at.is_some() {
            return now;
        }
        let question = app.question(&run).await;
        match world.effects().trim().rsplit_once(',') {
            // They look into the ledger, and say what the program would have said.
            Some((_, paid)) if question.key.contains("doubt:") => {
                let happened = json!({"status": 0, "stdout": paid}).to_string();
                app.answer(&question, v1::Decision::Respond, &happened).await;
            }
            _ => app.answer(&question, v1::Decision::Approve, "").await,
        }
    }
}

impl World {
    /// Waits until the worker has come to the place.
    async fn reached(&self, run: &str, place: Place, stop: &Stop) {
        match place {
            Place::Entries(entries) => {
                self.app.until(run, |run| run.entries >= entries).await;
            }
            _ => stop.reached.notified().await,
        }
    }

    /// Waits for the end, while time passes: the dead worker's leases have to.
    async fn ended(&self, person: &mut JoinHandle<v1::Run>) -> v1::Run {
        let mut round = ROUND;
        loop {
            self.app.pass(LEASE).await;
            // What the dead worker had sent is still heard: a last commit extends its lease, a last
            // poll is given the run once more. Time has to pass again then.
            if let Ok(ended) = tokio::time::timeout(round, &mut *person).await {
                return ended.unwrap();
            }
            round *= 2;
        }
    }

    async fn runs(&self, run: v1::Run) -> Vec<Ended> {
        let request = v1::ListRunsRequest {
            tenant: "default".into(),
            parent: run.id.clone(),
            ..v1::ListRunsRequest::default()
        };
        let called = self.app.client.runs().list_runs(request).await.unwrap().into_inner();
        let mut runs = Vec::new();
        for run in [vec![run], called.runs].concat() {
            // A list leaves the output out.
            let run = self.app.run(&run.id).await;
            let artifacts = self.artifacts(&run).await;
            let journal = self.app.journal(&run.id).await;
            let output = output(&run);
            runs.push(Ended { agent: run.agent, output, artifacts, id: run.id, journal });
        }
        runs.sort_by_key(|run| (run.agent.clone(), run.output.to_string()));
        runs
    }

    async fn artifacts(&self, run: &v1::Run) -> Vec<(String, String)> {
        let request = v1::ListArtifactsRequest { tenant: "default".into(), run: run.id.clone() };
        let list = self.app.client.runs().list_artifacts(request).await.unwrap().into_inner();
        let mut artifacts = Vec::new();
        for artifact in list.artifacts {
            let (tenant, name) = ("default".into(), artifact.name);
            let request = v1::GetArtifactRequest { tenant, run: run.id.clone(), name };
            let got = self.app.client.runs().get_artifact(request).await.unwrap().into_inner();
            artifacts.push((got.name, String::from_utf8(got.data.into()).unwrap()));
        }
        artifacts
    }

    /// The ledger that `once` tools write to.
    fn effects(&self) -> String {
        fs::read_to_string(self.folder.join(LEDGER)).unwrap_or_default()
    }
}
