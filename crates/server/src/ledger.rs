//! The ledger: find and lock, decide, save, commit, wake, for many commands at once.
//!
//! Commands of concurrent requests are gathered for as long as the batch before them takes to
//! commit; there is no timer, so an idle system adds no delay and a busy one shares each commit
//! among many. A command whose run is busy in another transaction goes into the next batch: nothing
//! ever waits for a second row. A refused command refuses alone. Several lanes, by hash of the run,
//! keep several connections busy.

mod batch;

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use tenure_core::run::NewRun;
use tenure_core::{
    Error, Interrupt, InterruptId, Result, Run, RunId, TenantId, Timestamp, Transition,
};
use tenure_store::{RunKey, Store};
use tokio::sync::{mpsc, oneshot};

use crate::wake::Wake;

/// Decides a change of a run. Pure; asked again if the batch has to be done again. `None` changes
/// nothing and is answered with the run as it is.
pub type Decide = Box<dyn Fn(&Run, Timestamp) -> Result<Option<Transition>> + Send + Sync>;

/// Decides what becomes of a run's interrupt. Pure, like [`Decide`].
pub type Resolve =
    Box<dyn Fn(&Run, &Interrupt, Timestamp) -> Result<Option<Transition>> + Send + Sync>;

/// What happens to one run.
pub(crate) enum Command {
    /// It is created, perhaps under an idempotency key.
    Create { new: Box<NewRun>, key: Option<RunKey> },
    /// It changes.
    Change { tenant: TenantId, run: RunId, decide: Decide },
    /// Something arrives for it; a source that the inbox knows already changes nothing.
    Deliver { tenant: TenantId, run: RunId, source: String, decide: Decide },
    /// One of its interrupts is answered.
    Resolve { tenant: TenantId, run: RunId, interrupt: InterruptId, decide: Resolve },
}

/// What became of a command.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// The run afterwards.
    pub(crate) run: Arc<Run>,
    /// Whether the command changed it.
    pub(crate) changed: bool,
}

struct Job {
    command: Command,
    reply: oneshot::Sender<Result<Done>>,
}

/// Hands commands to the lanes.
pub(crate) struct Ledger {
    lanes: Vec<mpsc::Sender<Job>>,
}

/// Commands that may wait for a lane before callers have to wait for a place in the queue.
const QUEUE: usize = 10_000;

impl Ledger {
    /// Starts as many lanes as the store can make use of; they end with the ledger.
    pub(crate) fn start(store: &Arc<dyn Store>, wake: &Arc<Wake>) -> Self {
        let lane = |_| {
            let (sender, jobs) = mpsc::channel(QUEUE);
            tokio::spawn(batch::work(store.clone(), wake.clone(), jobs));
            sender
        };
        Self { lanes: (0..store.lanes().max(1)).map(lane).collect() }
    }

    /// Does the command; it is durable when this returns.
    pub(crate) async fn apply(&self, command: Command) -> Result<Done> {
        let (reply, answer) = oneshot::channel();
        let lane = &self.lanes[self.lane(command.run())];
        let away = || Error::unavailable("the control plane is shutting down; try again", "ledger");
        lane.send(Job { command, reply }).await.map_err(|_| away())?;
        answer.await.map_err(|_| away())?
    }

    fn lane(&self, run: RunId) -> usize {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(run);
        // The remainder is below the number of lanes, so it fits.
        usize::try_from(hash % self.lanes.len() as u64).unwrap_or(0)
    }
}

impl Command {
    fn run(&self) -> RunId {
        match self {
            Self::Create { new, .. } => new.id,
            Self::Change { run, .. } | Self::Deliver { run, .. } | Self::Resolve { run, .. } => {
                *run
            }
        }
    }
}
