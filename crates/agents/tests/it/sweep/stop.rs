//! Stops a worker exactly at one boundary of the journal, and notes what is executed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use async_trait::async_trait;
use tenure_sdk::{Key, Observer, RunId};
use tokio::sync::Notify;

/// Where a worker is to be killed. Steps are counted in the order in which they come there, in all
/// runs of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere.
    Nowhere,
    /// Before a step is executed.
    Before(usize),
    /// Between its execution and its record.
    Executed(usize),
    /// After its record, before anything follows from it.
    Recorded(usize),
    /// When the journal of the first run has so many entries.
    Entries(u64),
}

/// One execution of a step.
#[derive(Clone, Debug)]
pub(super) struct Execution {
    pub(super) run: String,
    pub(super) key: String,
    pub(super) epoch: u64,
}

/// What the workers of one play have executed.
pub(super) type Executions = Arc<Mutex<Vec<Execution>>>;

/// The observer of a worker.
pub(super) struct Stop {
    place: Place,
    /// How many steps came before their execution, their record, and behind it.
    passed: [AtomicUsize; 3],
    executions: Executions,
    pub(super) reached: Notify,
    /// Nothing is ever sent; the end of the other side lets go.
    never: Mutex<mpsc::Receiver<()>>,
}

impl Stop {
    /// An observer, and what has to be kept until the end of the play: a stopped thread would go on.
    pub(super) fn at(place: Place, executions: &Executions) -> (Arc<Self>, mpsc::Sender<()>) {
        let (keep, never) = mpsc::channel();
        let stop = Self {
            place,
            passed: Default::default(),
            executions: executions.clone(),
            reached: Notify::new(),
            never: Mutex::new(never),
        };
        (Arc::new(stop), keep)
    }

    /// Whether one more step at this place is the one.
    fn is_here(&self, kind: usize, place: impl Fn(usize) -> Place) -> bool {
        let here = place(self.passed[kind].fetch_add(1, Ordering::SeqCst)) == self.place;
        if here {
            self.reached.notify_one();
        }
        here
    }

    /// Stops this thread, and with it the run.
    fn block(&self) {
        let _ = self.never.lock().unwrap().recv();
    }
}

#[async_trait]
impl Observer for Stop {
    async fn before_step(&self, run: RunId, key: &Key, epoch: u64) {
        if self.is_here(0, Place::Before) {
            std::future::pending::<()>().await;
        }
        let execution = Execution { run: run.to_string(), key: key.to_string(), epoch };
        self.executions.lock().unwrap().push(execution);
    }

    fn before_record(&self, _run: RunId, _key: &Key, _epoch: u64) {
        if self.is_here(1, Place::Executed) {
            self.block();
        }
    }

    fn after_step(&self, _run: RunId, _key: &Key, _epoch: u64) {
        if self.is_here(2, Place::Recorded) {
            self.block();
        }
    }
}
