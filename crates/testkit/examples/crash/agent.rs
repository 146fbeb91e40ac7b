//! The worker: an agent of ten steps, each of which says in the log what happens to it.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tenure_sdk::{
    Attempt, Client, Context, Failure, Key, Observer, Retry, RunId, Stop, join, shutdown_signal,
};

use crate::log::{Event, Execution, Log};
use crate::options;

/// The agent's name.
pub(crate) const AGENT: &str = "crash";

const FIRST: [&str; 3] = ["fetch", "plan", "draft"];
const BRANCHES: [&str; 3] = ["check/facts", "check/style", "check/links"];
const THEN: [&str; 4] = ["merge", "review", "revise", "publish"];

/// Runs that a worker executes at a time: few enough that there is work until the last kill.
const CAPACITY: usize = 2;
/// How long a step takes: long enough to be killed in its middle, and short enough that a worker
/// ends many before its turn comes.
const STEP_MILLIS: std::ops::RangeInclusive<u64> = 20..=60;

/// The keys of the steps.
pub(crate) fn keys() -> Vec<String> {
    let branch = |scope: &&str| format!("{scope}/work");
    let plain = |names: &[&'static str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    [plain(&FIRST), BRANCHES.iter().map(branch).collect(), plain(&THEN)].concat()
}

/// What the agent makes of the results of its steps.
pub(crate) fn output(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0, |sum, value| sum ^ value)
}

/// Works until it is killed, or until the test has gone, however that ended.
pub(crate) async fn work(options: options::Worker) -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    let recorder = Arc::new(Recorder {
        log: Log::open(&options.log)?,
        worker: options.name,
        random: Mutex::new(fastrand::Rng::with_seed(options.seed)),
        executing: Mutex::default(),
    });
    let client = Client::connect(&options.url, "default".parse()?)?;
    let (observer, shutdown) = (recorder.clone(), shutdown_signal());
    let agent = move |context, _: u64| agent(context, recorder.clone());
    let worker = tenure_sdk::Worker::new(client).capacity(CAPACITY).observer(observer);
    worker.handle(AGENT, agent).run(shutdown).await?;
    Ok(())
}

async fn agent(context: Context, recorder: Arc<Recorder>) -> Result<u64, Stop> {
    let mut values = Vec::new();
    for name in FIRST {
        values.push(step(&context, name, &recorder).await?);
    }
    let branch = async |scope| step(&context.scope(scope)?, "work", &recorder).await;
    values.extend(join(BRANCHES.map(branch)).await?);
    for name in THEN {
        values.push(step(&context, name, &recorder).await?);
    }
    Ok(output(values))
}

async fn step(context: &Context, name: &str, recorder: &Recorder) -> Result<u64, Stop> {
    context.step(name).retry(Retry::NONE).run(|attempt| recorder.work(&attempt)).await
}

/// Writes down what happens to the steps.
struct Recorder {
    worker: String,
    log: Log,
    random: Mutex<fastrand::Rng>,
    /// By idempotency key, the latest execution of each step.
    executing: Mutex<HashMap<String, Execution>>,
}

impl Recorder {
    fn executing(&self) -> MutexGuard<'_, HashMap<String, Execution>> {
        self.executing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn random(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, event: &Event) {
        self.log.write(event).expect("the log can be written");
    }

    /// The work of a step: takes some time and gives the value that its start has announced.
    fn work<'a>(
        &'a self,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<u64, Failure>> + use<'a> {
        // Looked up now: it is the execution that has just been announced, on this one thread.
        let execution = self.executing()[&attempt.idempotency_key].clone();
        let time = Duration::from_millis(self.random().u64(STEP_MILLIS));
        async move {
            tokio::time::sleep(time).await;
            let value = execution.value;
            self.write(&Event::Ended(execution));
            Ok(value)
        }
    }
}

#[async_trait]
impl Observer for Recorder {
    async fn before_step(&self, run: RunId, key: &Key, epoch: u64) {
        let execution = Execution {
            worker: self.worker.clone(),
            run: run.to_string(),
            key: key.to_string(),
            epoch,
            value: self.random().u64(..),
        };
        self.write(&Event::Started(execution.clone()));
        self.executing().insert(format!("{run}/{key}"), execution);
    }

    fn after_step(&self, run: RunId, key: &Key, epoch: u64) {
        let execution = self.executing().remove(&format!("{run}/{key}"));
        // A run may be back on this worker under another lease before the old one has noticed.
        if let Some(execution) = execution.filter(|execution| execution.epoch == epoch) {
            self.write(&Event::Recorded(execution));
        }
    }
}
