//! What a worker says in the logs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tenure_sdk::{Attempt, Failure, Key, Observer, Reconciled, RunId};

use crate::log::{self, Event, Execution, Holding, Log};
use crate::options;
use crate::program;
use crate::world;

/// How long a step takes: long enough to be killed in its middle, and short enough that a worker
/// ends many before its turn comes.
const STEP_MILLIS: std::ops::RangeInclusive<u64> = 20..=60;

/// Writes down what happens to the steps.
pub(super) struct Recorder {
    worker: String,
    log: Log,
    /// The log of the steps that must not happen twice: what they have done to the world.
    world: Log,
    world_path: PathBuf,
    random: Mutex<fastrand::Rng>,
    /// By idempotency key, the latest execution of each step.
    executing: Mutex<HashMap<String, Execution>>,
}

impl Recorder {
    pub(super) fn new(options: options::Worker) -> std::io::Result<Self> {
        let world_path = log::world(&options.logs);
        Ok(Self {
            log: Log::open(&log::events(&options.logs))?,
            world: Log::open(&world_path)?,
            world_path,
            worker: options.name,
            random: Mutex::new(fastrand::Rng::with_seed(options.seed)),
            executing: Mutex::default(),
        })
    }

    fn executing(&self) -> MutexGuard<'_, HashMap<String, Execution>> {
        self.executing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn random(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, event: Event) {
        self.log.write(event).expect("the log can be written");
    }

    fn change_world(&self, event: Event) {
        self.world.write(event).expect("the log can be written");
    }

    /// What was announced of this attempt a moment ago, on this one thread.
    fn announced(&self, attempt: &Attempt) -> Execution {
        self.executing()[&attempt.idempotency_key].clone()
    }

    async fn takes_time(&self) {
        let time = Duration::from_millis(self.random().u64(STEP_MILLIS));
        tokio::time::sleep(time).await;
    }

    /// The work of a step: takes some time and gives the value that its start has announced.
    pub(super) fn work<'a>(
        &'a self,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<u64, Failure>> + use<'a> {
        // Looked up now, before another execution of it is announced.
        let execution = self.announced(attempt);
        async move {
            self.takes_time().await;
            let value = execution.value;
            self.write(Event::Ended(execution));
            Ok(value)
        }
    }

    /// The work of a step that must not happen twice. Its effect is the line that says that it has
    /// ended.
    pub(super) fn work_once<'a>(
        &'a self,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<u64, Failure>> + use<'a> {
        let execution = self.announced(attempt);
        self.change_world(Event::Started(execution.clone()));
        async move {
            self.takes_time().await;
            let value = execution.value;
            self.change_world(Event::Ended(execution));
            Ok(value)
        }
    }

    /// Finds out whether a step has happened, and sees to it that it cannot any more if it has not:
    /// the worker that is thought dead may only be asleep.
    pub(super) fn find_out(&self, attempt: &Attempt) -> Reconciled<u64> {
        let asking = self.announced(attempt);
        self.change_world(Event::Doubted(asking.clone()));
        let world = log::read(&self.world_path).expect("the log can be read");
        match world::effects(&world, &asking.run, &asking.key).first() {
            Some(happened) => Reconciled::Happened(happened.value),
            None => Reconciled::DidNot,
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
        // What must not happen twice may only be asked about here, so it says itself when it starts.
        if !program::is_once(key.as_str()) {
            self.write(Event::Started(execution.clone()));
        }
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

/// Says in the log whose hands a run is in.
pub(super) struct Hand<'a> {
    recorder: &'a Recorder,
    holding: Holding,
    holds: bool,
}

impl<'a> Hand<'a> {
    pub(super) fn new(recorder: &'a Recorder, run: RunId) -> Self {
        let holding = Holding { worker: recorder.worker.clone(), run: run.to_string() };
        let mut this = Self { recorder, holding, holds: false };
        this.hold();
        this
    }

    pub(super) fn hold(&mut self) {
        self.holds = true;
        self.recorder.write(Event::Holds(self.holding.clone()));
    }

    pub(super) fn let_go(&mut self) {
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
