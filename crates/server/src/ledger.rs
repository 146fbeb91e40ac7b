//! The ledger: decide, save, tell, for many commands at once.
//!
//! Commands of concurrent requests are gathered for as long as the batch before them takes to
//! commit; there is no timer, so an idle system adds no delay and a busy one shares each commit
//! among many. There are two ways through it:
//!
//! ```text
//!  known:  remember, decide, save in one statement that checks the revisions ─► answer
//!    └─ not remembered, not plain, refused, or somebody was faster
//!  batch:  lock, decide, save, commit in one transaction ─► answer
//! ```
//!
//! On the long way a command whose run is busy in another transaction goes into the next batch:
//! nothing ever waits for a second row. A refused command refuses alone. Several lanes, by hash of
//! the run, keep several connections busy; new runs have a lane of their own, so that those that are
//! created together are leased together.

mod batch;
mod known;
mod memory;

use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::NewRun;
use tenure_core::{
    Error, Interrupt, InterruptId, Result, Run, RunId, TenantId, Timestamp, Transition,
};
use tenure_store::{RunKey, SeenAgent, Store};
use tokio::sync::{mpsc, oneshot};

use crate::dispatch::Dispatch;
use crate::entropy::Entropy;
use crate::wake::Wake;
pub(crate) use memory::Memory;

/// Decides a change of a run. Pure; asked again if the batch has to be done again. `None` changes
/// nothing and is answered with the run as it is.
pub type Decide = Box<dyn Fn(&Run, Timestamp) -> Result<Option<Transition>> + Send + Sync>;

/// Decides what becomes of a run's interrupt. Pure, like [`Decide`].
pub type Resolve =
    Box<dyn Fn(&Run, &Interrupt, Timestamp) -> Result<Option<Transition>> + Send + Sync>;

/// What happens to one run.
pub(crate) enum Command {
    /// It is created, perhaps under an idempotency key, for an agent as it was seen.
    Create { new: Box<NewRun>, key: Option<RunKey>, seen: Option<SeenAgent> },
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

/// Why a command was not done.
#[derive(Clone, Debug)]
enum Refusal {
    /// For this reason.
    Error(Error),
    /// The agent of a new run is not as it was seen: look again, and ask again.
    Stale,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

struct Job {
    command: Command,
    reply: oneshot::Sender<Result<Done, Refusal>>,
}

/// What every lane works with.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// How long an offer waits for its first sign of life.
    pub(crate) offer_ttl: Duration,
}

/// Hands commands to the lanes.
pub(crate) struct Ledger {
    lanes: Vec<mpsc::Sender<Job>>,
    creations: mpsc::Sender<Job>,
}

/// Commands that may wait for a lane before callers have to wait for a place in the queue.
const QUEUE: usize = 10_000;

impl Ledger {
    /// Starts as many lanes as the store can make use of, and the one for new runs; they end with the
    /// ledger.
    pub(crate) fn start(lane: &Lane) -> Self {
        let start = || {
            let (sender, jobs) = mpsc::channel(QUEUE);
            tokio::spawn(batch::work(lane.clone(), jobs));
            sender
        };
        let lanes = (0..lane.store.lanes().max(1)).map(|_| start()).collect();
        Self { lanes, creations: start() }
    }

    /// Does the command; it is durable when this returns.
    pub(crate) async fn apply(&self, command: Command) -> Result<Done> {
        match self.ask(command).await {
            Ok(done) => Ok(done),
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::Stale) => Err(Error::internal("stale, and nothing was said to be seen")),
        }
    }

    /// Creates a run of an agent as it was seen; `None` if the agent has changed since.
    pub(crate) async fn create(
        &self,
        new: NewRun,
        key: Option<RunKey>,
        seen: SeenAgent,
    ) -> Result<Option<Done>> {
        match self.ask(Command::Create { new: Box::new(new), key, seen: Some(seen) }).await {
            Ok(done) => Ok(Some(done)),
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::Stale) => Ok(None),
        }
    }

    async fn ask(&self, command: Command) -> Result<Done, Refusal> {
        let (reply, answer) = oneshot::channel();
        let lane = match &command {
            Command::Create { .. } => &self.creations,
            Command::Change { run, .. }
            | Command::Deliver { run, .. }
            | Command::Resolve { run, .. } => &self.lanes[memory::part_of(*run, self.lanes.len())],
        };
        let away = || Error::unavailable("the control plane is shutting down; try again", "ledger");
        lane.send(Job { command, reply }).await.map_err(|_| away())?;
        answer.await.map_err(|_| away())?
    }
}
