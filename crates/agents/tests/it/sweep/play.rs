//! One play of an example: its worker is killed somewhere, another one goes on, a person answers.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tenure_agents::ModelConfig;
use tenure_sdk::v1;
use tokio::task::JoinHandle;

use super::example::Example;
use super::stop::{Execution, Executions, Place, Stop};
use super::talk::Talk;
use crate::rig::{Rig, output};

/// Longer than a lease lasts.
const LEASE: Duration = Duration::from_mins(1);
/// How long a takeover is waited for at first.
const ROUND: Duration = Duration::from_millis(500);

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
        &self.runs.iter().find(|run| run.id == self.run).unwrap().output
    }
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) agent: String,
    pub(super) output: Value,
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

struct World {
    rig: Rig,
    talk: Talk,
    executions: Executions,
}

/// Plays an example whose worker is killed at `place`.
pub(super) async fn play(example: &Example, place: Place) -> Played {
    let (world, agent) = World::open(example).await;
    let world = Arc::new(world);
    let (stop, _keep) = Stop::at(place, &world.executions);
    let first = world.rig.process(ModelConfig::default(), stop.clone());
    let run = world.rig.app.create(&agent, example.input).await;
    let mut person = tokio::spawn(attend(world.clone(), run.clone()));
    let killed = tokio::select! {
        biased;
        () = world.reached(&run, place, &stop) => true,
        ended = &mut person => {
            person = tokio::spawn(async { ended.unwrap() });
            false
        }
    };
    if killed {
        first.kill();
    }
    let (calm, _keep) = Stop::at(Place::Nowhere, &world.executions);
    let _second = killed.then(|| world.rig.process(ModelConfig::default(), calm));
    let run = world.ended(&mut person, killed).await;
    Played {
        run: run.id.clone(),
        runs: world.runs(run).await,
        executions: world.executions.lock().unwrap().clone(),
        asked: world.talk.asked(),
        effects: world.effects(),
        killed,
    }
}

/// Answers what a run asks until it has ended.
async fn attend(world: Arc<World>, run: String) -> v1::Run {
    let app = &world.rig.app;
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
    /// The example's agents published, and the name of the one that is run.
    async fn open(example: &Example) -> (Self, String) {
        let files = example.files();
        let files: Vec<_> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        let (mut rig, talk) = (Rig::with(&files).await, Talk::start().await);
        rig.base.programs = example.programs.iter().map(|program| (*program).to_owned()).collect();
        rig.base.files_write = !example.programs.is_empty();
        rig.base.sandbox = Some(env!("CARGO_BIN_EXE_tenure-sandbox").into());
        let script = example.script();
        let texts = example.texts();
        for text in &texts {
            rig.publish(&talk.instead(text, script.as_ref())).await;
        }
        let agent = tenure_spec::parse(&texts[0]).unwrap().name;
        (Self { rig, talk, executions: Executions::default() }, agent)
    }

    /// Waits until the worker has come to the place.
    async fn reached(&self, run: &str, place: Place, stop: &Stop) {
        match place {
            Place::Entries(entries) => {
                self.rig.app.until(run, |run| run.entries >= entries).await;
            }
            _ => stop.reached.notified().await,
        }
    }

    /// Waits for the end; after a kill, time passes.
    async fn ended(&self, person: &mut JoinHandle<v1::Run>, killed: bool) -> v1::Run {
        let mut round = ROUND;
        loop {
            if killed {
                self.rig.app.pass(LEASE).await;
            }
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
        let called = self.rig.app.client.runs().list_runs(request).await.unwrap().into_inner();
        let mut runs = Vec::new();
        for run in [vec![run], called.runs].concat() {
            // A list leaves the output out.
            let run = self.rig.app.run(&run.id).await;
            let artifacts = self.artifacts(&run).await;
            let journal = self.rig.app.journal(&run.id).await;
            let output = output(&run);
            runs.push(Ended { agent: run.agent, output, artifacts, id: run.id, journal });
        }
        runs.sort_by_key(|run| (run.agent.clone(), run.output.to_string()));
        runs
    }

    async fn artifacts(&self, run: &v1::Run) -> Vec<(String, String)> {
        let request = v1::ListArtifactsRequest { tenant: "default".into(), run: run.id.clone() };
        let list = self.rig.app.client.runs().list_artifacts(request).await.unwrap().into_inner();
        list.artifacts.into_iter().map(|artifact| (artifact.name, artifact.digest)).collect()
    }

    /// The ledger that `once` tools write to.
    fn effects(&self) -> String {
        std::fs::read_to_string(self.rig.files.path().join("refunds.csv")).unwrap_or_default()
    }
}
