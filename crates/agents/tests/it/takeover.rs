//! A worker dies in the middle: what was recorded is not done again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use async_trait::async_trait;
use serde_json::json;
use tenure_agents::ModelConfig;
use tenure_sdk::{Key, Observer, RunId, v1};
use tokio::sync::Notify;

use crate::double::{Double, json as answer};
use crate::rig::{Rig, failed, failure, output};

const FILES: [(&str, &str); 3] = [("a.md", "# A"), ("b.md", "# B"), ("c.md", "# C")];
const EXAMPLE: &str = include_str!("../../../../examples/document-digest/agent.yaml");
/// Steps of the example with these files.
const STEPS: usize = 12;

/// Counts executions, and holds its worker before one of them.
#[derive(Default)]
pub(crate) struct Counter {
    executed: Mutex<Vec<String>>,
    begun: AtomicUsize,
    /// How many steps may begin; the others wait for ever.
    hold_after: Option<usize>,
    pub(crate) held: Notify,
}

impl Counter {
    pub(crate) fn holding(hold_after: usize) -> Arc<Self> {
        Arc::new(Self { hold_after: Some(hold_after), ..Self::default() })
    }

    pub(crate) fn executed(&self) -> Vec<String> {
        let mut keys = self.executed.lock().unwrap().clone();
        keys.sort();
        keys
    }
}

#[async_trait]
impl Observer for Counter {
    async fn before_step(&self, _run: RunId, key: &Key, _epoch: u64) {
        let before = self.begun.fetch_add(1, Ordering::SeqCst);
        if self.hold_after.is_some_and(|steps| before >= steps) {
            self.held.notify_one();
            std::future::pending::<()>().await;
        }
        self.executed.lock().unwrap().push(key.to_string());
    }
}

/// A run whose first worker was killed before it executed a step, and its second one went on.
pub(crate) struct Killed {
    pub(crate) ended: v1::Run,
    /// What each of them executed.
    pub(crate) first: Vec<String>,
    pub(crate) second: Vec<String>,
    /// What each of them recorded: a commit that was on its way when its worker died may arrive or
    /// not; the epoch tells.
    pub(crate) before: Vec<String>,
    pub(crate) after: Vec<String>,
}

impl Killed {
    /// Has a run of an agent, whose worker is killed before its step of this number, counted from 0.
    pub(crate) async fn at(rig: &Rig, agent: &str, input: &str, crash: usize) -> Self {
        let first = Counter::holding(crash);
        let process = rig.process(ModelConfig::default(), first.clone());
        let run = rig.app.create(agent, input).await;
        first.held.notified().await;
        let dead = rig.app.run(&run).await.worker;
        process.kill();
        let second = Arc::new(Counter::default());
        let _successor = rig.process(ModelConfig::default(), second.clone());
        let ended = rig.ended_after(&dead, &run).await;
        let (before, after) = by_owner(rig.app.journal(&run).await);
        Self { ended, first: first.executed(), second: second.executed(), before, after }
    }

    /// Checks that each of these steps was recorded once, and what was recorded was not executed
    /// again.
    pub(crate) fn check(&self, keys: &[impl AsRef<str>]) {
        let mut all = [self.before.as_slice(), &self.after].concat();
        all.sort();
        assert!(
            all.iter().eq(keys.iter().map(AsRef::as_ref)),
            "each step is recorded once: {all:?}"
        );
        assert_eq!(self.second, self.after, "what is recorded is not executed again");
    }
}

#[tokio::test]
async fn after_a_crash_at_any_step_no_recorded_step_is_executed_again() {
    for crash in 0..STEPS {
        let rig = Rig::with(&FILES).await;
        rig.publish(&EXAMPLE.replace("300ms", "0ms")).await;
        let killed = Killed::at(&rig, "document-digest", "null", crash).await;
        assert_eq!(output(&killed.ended), "The report is written to report.md.");
        let Killed { first, second, before, after, .. } = killed;
        assert_eq!(before.is_empty(), crash == 0, "crash before step {crash}: {before:?}");
        assert_eq!(before.len() + after.len(), STEPS, "each step is recorded once");
        assert_eq!(second, after, "crash before step {crash}");
        assert!(before.iter().all(|key| first.contains(key)), "{before:?} of {first:?}");
    }
}

/// The sorted keys that the first worker has recorded, and those of the others.
pub(crate) fn by_owner(journal: Vec<v1::Entry>) -> (Vec<String>, Vec<String>) {
    let (first, others): (Vec<_>, Vec<_>) = journal.into_iter().partition(|entry| entry.epoch == 1);
    let keys = |entries: Vec<v1::Entry>| {
        let keys = entries.into_iter().filter_map(|entry| entry.record).map(|record| record.key);
        let mut keys: Vec<String> = keys.collect();
        keys.sort();
        keys
    };
    (keys(first), keys(others))
}

#[tokio::test]
async fn a_new_version_does_not_disturb_a_run() {
    let spec = |text: &str, tool: &str| {
        let turns = format!("[{{calls: [{{tool: {tool}}}]}}, {{text: {text}}}]");
        let model = format!("{{provider: scripted, name: s, script: {{turns: {turns}}}}}");
        format!("{{name: sample, tools: [{tool}], model: {model}}}")
    };
    let rig = Rig::with(&FILES).await;
    rig.publish(&spec("old", "list_files")).await;
    let first = Counter::holding(1);
    let process = rig.process(ModelConfig::default(), first.clone());
    let old = rig.app.create("sample", "null").await;
    first.held.notified().await;
    let dead = rig.app.run(&old).await.worker;
    process.kill();

    assert_eq!(rig.publish(&spec("new", "digest_file")).await, 2);
    let _successor = rig.process(ModelConfig::default(), Arc::new(Counter::default()));
    let new = rig.app.create("sample", "null").await;
    let old = rig.ended_after(&dead, &old).await;
    assert_eq!((output(&old), old.version), ("old".into(), 1));
    let new = rig.ended_after(&dead, &new).await;
    assert_eq!((output(&new), new.version), ("new".into(), 2));
}

/// Stops its worker when a step is recorded, before anything follows from it.
struct AfterRecord {
    recorded: Notify,
    /// Nothing is ever sent; the end of the other side lets go.
    never: Mutex<mpsc::Receiver<()>>,
}

impl Observer for AfterRecord {
    fn after_step(&self, _run: RunId, _key: &Key, _epoch: u64) {
        self.recorded.notify_one();
        let _ = self.never.lock().unwrap().recv();
    }
}

#[tokio::test]
async fn a_failed_model_call_is_the_result_for_the_next_worker_too() {
    let refusal = answer(400, &json!({"error": {"message": "no such model"}}));
    let server = Double::start(vec![refusal]).await;
    let model = format!("{{provider: openai, name: acme, base_url: '{}'}}", server.url);
    let rig = Rig::with(&[]).await;
    rig.publish(&format!("{{name: sample, model: {model}}}")).await;

    // Kept to the end, so that the stopped thread does nothing more while the test looks.
    let (_keep, never) = mpsc::channel();
    let first = Arc::new(AfterRecord { recorded: Notify::new(), never: Mutex::new(never) });
    let process = rig.process(ModelConfig::default(), first.clone());
    let run = rig.app.create("sample", "null").await;
    first.recorded.notified().await;
    let dead = rig.app.run(&run).await.worker;
    process.kill();

    let second = Arc::new(Counter::default());
    let _successor = rig.process(ModelConfig::default(), second.clone());
    let run = rig.ended_after(&dead, &run).await;
    assert_eq!((&*failure(&run).code, run.attempts), ("model_http_400", 2));
    assert!(failure(&run).message.contains("no such model"), "{run:?}");
    assert_eq!(second.executed(), [""; 0]);
    assert_eq!(server.asked().len(), 1);
    let records = rig.records(&run).await;
    assert_eq!(records.iter().map(failed).collect::<Vec<_>>(), [Some("model_http_400")]);
}
