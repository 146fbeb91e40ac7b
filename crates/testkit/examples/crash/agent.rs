//! The worker: an agent that does the parts of its program, and says in the log what happens.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tenure_sdk::{
    Attempt, Client, Context, Failure, Key, Observer, Retry, RunId, Stop, join, shutdown_signal,
};

use crate::log::{Event, Execution, Holding, Log};
use crate::options;
use crate::program::{self, Part};

/// The agent's name.
pub(crate) const AGENT: &str = "crash";

/// Runs that a worker executes at a time: few enough that there is work until the last fault.
const CAPACITY: usize = 5;
/// How long a step takes: long enough to be killed in its middle, and short enough that a worker
/// ends many before its turn comes.
const STEP_MILLIS: std::ops::RangeInclusive<u64> = 20..=60;

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
    let agent = move |context, input| agent(context, input, recorder.clone());
    let worker = tenure_sdk::Worker::new(client).capacity(CAPACITY).observer(observer);
    worker.handle(AGENT, agent).run(shutdown).await?;
    Ok(())
}

async fn agent(context: Context, input: u64, recorder: Arc<Recorder>) -> Result<u64, Stop> {
    let mut hand = Hand::new(&recorder, context.run());
    let mut values = Vec::new();
    for (index, part) in program::of(input).iter().enumerate() {
        let waits = matches!(part, Part::Sleep(_) | Part::Signal);
        if waits {
            hand.let_go();
        }
        values.push(play(&context, index, part, &recorder).await?);
        if waits {
            hand.hold();
        }
    }
    hand.let_go();
    Ok(program::output(values))
}

/// Does one part, and gives what it comes to.
async fn play(
    context: &Context,
    index: usize,
    part: &Part,
    recorder: &Recorder,
) -> Result<u64, Stop> {
    match part {
        Part::Step => {
            let step = context.step(&program::step(index)).retry(Retry::NONE);
            step.run(|attempt| recorder.work(&attempt)).await
        }
        Part::Sleep(length) => context.sleep(*length).await.map(|()| 0),
        Part::Signal => {
            let brought = context.wait_for(&program::SIGNAL.parse()?).await?;
            Ok(serde_json::from_slice(&brought.data)?)
        }
        Part::Branches(branches) => {
            let branch = |(number, parts): (usize, &Vec<Part>)| {
                let context = context.scope(&program::scope(index, number));
                let parts = parts.clone();
                async move { play_all(&context?, &parts, recorder).await }
            };
            join(branches.iter().enumerate().map(branch)).await.map(program::output)
        }
    }
}

async fn play_all(context: &Context, parts: &[Part], recorder: &Recorder) -> Result<u64, Stop> {
    let mut values = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        values.push(Box::pin(play(context, index, part, recorder)).await?);
    }
    Ok(program::output(values))
}

/// Says in the log whose hands a run is in.
struct Hand<'a> {
    recorder: &'a Recorder,
    holding: Holding,
    holds: bool,
}

impl<'a> Hand<'a> {
    fn new(recorder: &'a Recorder, run: RunId) -> Self {
        let holding = Holding { worker: recorder.worker.clone(), run: run.to_string() };
        let mut this = Self { recorder, holding, holds: false };
        this.hold();
        this
    }

    fn hold(&mut self) {
        self.holds = true;
        self.recorder.write(Event::Holds(self.holding.clone()));
    }

    fn let_go(&mut self) {
        self.holds = false;
        self.recorder.write(Event::LetsGo(self.holding.clone()));
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        if self.holds {
            self.recorder.write(Event::Dropped(self.holding.clone()));
        }
    }
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

    fn write(&self, event: Event) {
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
            self.write(Event::Ended(execution));
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
        self.write(Event::Started(execution.clone()));
        self.executing().insert(format!("{run}/{key}"), execution);
    }

    fn after_step(&self, run: RunId, key: &Key, epoch: u64) {
        // A run may be back on this worker under another lease before the old one has noticed.
        let mut executing = self.executing();
        if let Entry::Occupied(execution) = executing.entry(format!("{run}/{key}"))
            && execution.get().epoch == epoch
        {
            self.write(Event::Recorded(execution.remove()));
        }
    }
}
