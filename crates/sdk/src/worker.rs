//! The worker runtime: leases runs, executes their code, stays alive, drains.
//!
//! ```text
//!  poll ──leases──► execute (one task a run) ──records──► journal (one commit in flight a run)
//!   ▲ permits            ▲ standing: lost, cancelled, paused,      │
//!   │                    │           draining, inbox               └► commits (calls that runs share)
//!   └────────────────────┴──────────── heartbeat (a thread of its own)
//! ```
//!
//! A run does not take its worker down: code that panics fails its run, with the code `panic`, and no
//! other. What ends the whole process (`abort`, a signal, no memory left) ends its leases, which the
//! control plane counts: a run that has lost five of them in a row without a new entry fails as
//! `exhausted` instead of taking down one worker after the other.

mod check;
mod commits;
mod execute;
mod heartbeat;
mod journal;
pub(crate) mod leased;
pub(crate) mod publishing;
mod read;
mod shutdown;
mod standing;

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_core::{Error, Key, Name, Payload, RunId, WorkerId};
use tenure_proto::{convert, v1};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::{Client, jittered};
use crate::context::Context;
use crate::entropy;
use crate::payload;
use crate::stop::Stop;
use commits::Commits;
use heartbeat::Heartbeat;
use publishing::Publishing;
pub use shutdown::shutdown_signal;

/// The code of an agent: gets the context and the run's input, gives its output.
type Code =
    Arc<dyn Fn(Context, Payload) -> BoxFuture<'static, Result<Payload, Stop>> + Send + Sync>;

/// Sees every real execution of a step, never a replayed one.
#[async_trait]
pub trait Observer: Send + Sync + 'static {
    /// A step is about to be executed; it is, when this returns.
    async fn before_step(&self, run: RunId, key: &Key, epoch: u64) {
        let _ = (run, key, epoch);
    }

    /// It has been executed, and what came of it is about to be recorded.
    fn before_record(&self, run: RunId, key: &Key, epoch: u64) {
        let _ = (run, key, epoch);
    }

    /// Its result has been recorded.
    fn after_step(&self, run: RunId, key: &Key, epoch: u64) {
        let _ = (run, key, epoch);
    }
}

struct Silent;

impl Observer for Silent {}

/// Polls at a time of a worker that is being given runs: while one is on its way, the next new run finds
/// another in line. One that is idle has one.
const POLLS: usize = 8;
/// How long a poll is held by the control plane.
const POLL: Duration = Duration::from_secs(30);
/// How long a worker that is to stop waits for the answer to its poll.
const LEAVING: Duration = Duration::from_secs(2);
/// The pause after a poll that failed.
const POLL_BACKOFF: Duration = Duration::from_millis(500);

/// A worker that is being described; [`run`](Worker::run) makes it work.
#[must_use = "a worker does nothing until it is run"]
pub struct Worker {
    client: Client,
    tenants: BTreeSet<Name>,
    pools: BTreeSet<Name>,
    capacity: usize,
    drain_grace: Duration,
    agents: HashMap<Name, Code>,
    interpreter: Option<Code>,
    observer: Arc<dyn Observer>,
}

impl Worker {
    /// A worker of this control plane and tenant, for up to 16 runs at a time.
    pub fn new(client: Client) -> Self {
        Self {
            tenants: BTreeSet::from([client.tenant().clone()]),
            client,
            pools: BTreeSet::new(),
            capacity: 16,
            drain_grace: Duration::from_secs(30),
            agents: HashMap::new(),
            interpreter: None,
            observer: Arc::new(Silent),
        }
    }

    /// Serves the runs of these tenants, 1 to 64, instead of those of the client's alone. They take
    /// turns, whatever each has waiting.
    pub fn tenants(self, tenants: impl IntoIterator<Item = Name>) -> Self {
        Self { tenants: tenants.into_iter().collect(), ..self }
    }

    /// Serves the runs of this pool as well.
    pub fn pool(mut self, pool: Name) -> Self {
        self.pools.insert(pool);
        self
    }

    /// How many runs it executes at a time, at least 1.
    pub fn capacity(self, capacity: usize) -> Self {
        Self { capacity: capacity.max(1), ..self }
    }

    /// How long the steps that are being executed may go on when the worker is told to stop.
    pub fn drain_grace(self, drain_grace: Duration) -> Self {
        Self { drain_grace, ..self }
    }

    /// Who sees each execution of a step.
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Executes runs of the agent `name` with `code`, which takes JSON, or text as a string, and gives
    /// JSON. At its start the worker publishes the agent, with a pool of the same name. A `name` that
    /// breaks the rules of names is refused by [`run`](Worker::run).
    pub fn handle<I, O, F, Fut>(mut self, name: &str, code: F) -> Self
    where
        I: DeserializeOwned + Send,
        O: Serialize,
        F: Fn(Context, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Stop>> + Send + 'static,
    {
        let typed = typed(code);
        match name.parse::<Name>() {
            Ok(name) => {
                self.pools.insert(name.clone());
                self.agents.insert(name, typed);
                self
            }
            Err(error) => {
                let refuse = move |_, _| -> BoxFuture<'static, _> {
                    let error = error.clone();
                    Box::pin(async move { Err(Stop::from(error)) })
                };
                self.interpreter(refuse)
            }
        }
    }

    /// Executes runs of every agent that has no code of its own with `code`.
    pub fn interpreter<F, Fut>(mut self, code: F) -> Self
    where
        F: Fn(Context, Payload) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Payload, Stop>> + Send + 'static,
    {
        self.interpreter = Some(Arc::new(move |context, input| Box::pin(code(context, input))));
        self
    }

    /// Works until `shutdown`, then drains: takes no new runs, lets the steps that are being
    /// executed end and be recorded, gives the runs back, and returns.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        tokio::select! {
            published = self.publish_all() => published?,
            () = shutdown.cancelled() => return Ok(()),
        }
        let id = entropy::worker_id();
        let worker = Arc::new(Shared {
            id,
            heartbeat: Heartbeat::start(&self.client, id, &self.tenants)?,
            commits: Commits::new(self.client.clone()),
            publishing: Publishing::start(self.client.clone()),
            specs: read::Specs::default(),
            settings: self,
        });
        let runs = TaskTracker::new();
        worker.poll(&runs, &shutdown).await;
        worker.drain(&runs).await;
        Ok(())
    }

    async fn publish_all(&self) -> Result<(), Error> {
        for tenant in &self.tenants {
            for agent in self.agents.keys() {
                self.publish(tenant, agent).await?;
            }
        }
        Ok(())
    }

    /// Makes the agent known under its own name and pool; the same again changes nothing.
    async fn publish(&self, tenant: &Name, agent: &Name) -> Result<(), Error> {
        let document = serde_json::json!({ "name": agent.as_str(), "kind": "external", "pool": agent.as_str() });
        let request = v1::PublishVersionRequest {
            tenant: tenant.to_string(),
            document: document.to_string(),
        };
        let publish = || {
            let (mut agents, request) = (self.client.agents(), request.clone());
            async move { agents.publish_version(request).await }
        };
        self.client.retry(publish).await.map(|_| ())
    }
}

/// Code over JSON as code over payloads.
fn typed<I, O, F, Fut>(code: F) -> Code
where
    I: DeserializeOwned + Send,
    O: Serialize,
    F: Fn(Context, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, Stop>> + Send + 'static,
{
    let code = Arc::new(code);
    Arc::new(move |context, input: Payload| {
        let code = code.clone();
        Box::pin(async move {
            let input = payload::decode(&input).map_err(|error| {
                Stop::failed("invalid_input", format!("the run's input does not fit: {error}"))
            })?;
            let output = code(context, input).await?;
            let output = payload::encode("invalid_output", "the output of the run", &output);
            output.map_err(Stop::Failed)
        })
    })
}

/// What all tasks of a running worker share.
struct Shared {
    id: WorkerId,
    heartbeat: Heartbeat,
    /// Takes the commits of all runs.
    commits: Arc<Commits>,
    /// Takes what the steps of all runs say.
    publishing: Publishing,
    specs: read::Specs,
    settings: Worker,
}

impl Shared {
    fn client(&self) -> &Client {
        &self.settings.client
    }

    /// Polls while there is room, until `shutdown`.
    async fn poll(self: &Arc<Self>, runs: &TaskTracker, shutdown: &CancellationToken) {
        let room = Arc::new(Semaphore::new(self.settings.capacity));
        let (mut polls, mut most) = (FuturesUnordered::new(), 1);
        loop {
            let stopping = shutdown.is_cancelled();
            if stopping && polls.is_empty() {
                return;
            }
            let parts = most - polls.len().min(most);
            tokio::select! {
                Some((polled, permits)) = polls.next() => {
                    most = if gave_runs(&polled) { POLLS } else { 1 };
                    self.take(polled, permits, runs, shutdown).await;
                }
                // Room first, then runs: what was polled can be executed at once.
                permits = some_room(&room, parts), if parts > 0 && !stopping => {
                    polls.push(self.poll_with(permits, shutdown));
                }
                () = shutdown.cancelled(), if !stopping => {}
            }
        }
    }

    async fn poll_with(
        &self,
        permits: Vec<OwnedSemaphorePermit>,
        shutdown: &CancellationToken,
    ) -> (Result<Vec<v1::LeasedRun>, Duration>, Vec<OwnedSemaphorePermit>) {
        (self.poll_or_leave(permits.len(), shutdown).await, permits)
    }

    /// Starts the runs that a poll was answered with, or pauses if it failed.
    async fn take(
        self: &Arc<Self>,
        polled: Result<Vec<v1::LeasedRun>, Duration>,
        mut permits: Vec<OwnedSemaphorePermit>,
        runs: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        match polled {
            Ok(leased) => {
                for run in leased {
                    let (worker, permit) = (self.clone(), permits.pop());
                    runs.spawn(async move {
                        worker.execute(run).await;
                        drop(permit);
                    });
                }
            }
            Err(pause) => tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(jittered(pause)) => {}
            },
        }
    }

    /// One long poll, which is not cut when the worker is to stop: what is on its way would be lost
    /// until the offer runs out. The control plane is told instead, and what still comes is given
    /// back.
    async fn poll_or_leave(
        &self,
        capacity: usize,
        shutdown: &CancellationToken,
    ) -> Result<Vec<v1::LeasedRun>, Duration> {
        let poll = self.poll_once(capacity);
        tokio::pin!(poll);
        tokio::select! {
            biased;
            polled = &mut poll => return polled,
            () = shutdown.cancelled() => {}
        }
        // From here on whatever is leased to this worker is released at once.
        self.heartbeat.drain(false);
        let request = v1::LeaveRequest { worker: self.id.to_string() };
        let mut workers = self.client().workers();
        // A control plane that does not answer lets the offer run out; there is nothing more to do.
        let leave = tokio::time::timeout(LEAVING, workers.leave(request));
        let answered = tokio::time::timeout(LEAVING, poll);
        let (_, answered) = tokio::join!(leave, answered);
        answered.unwrap_or(Ok(Vec::new()))
    }

    /// One long poll: runs, or how long to pause.
    async fn poll_once(&self, capacity: usize) -> Result<Vec<v1::LeasedRun>, Duration> {
        use v1::poll_response::Result as Polled;
        let request = v1::PollRequest {
            tenants: self.settings.tenants.iter().map(Name::to_string).collect(),
            worker: self.id.to_string(),
            pools: self.settings.pools.iter().map(Name::to_string).collect(),
            capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
            wait: Some(convert::duration(jittered(POLL))),
        };
        match self.client().workers().poll(request).await {
            Ok(response) => match response.into_inner().result {
                Some(Polled::Dispatched(dispatched)) => Ok(dispatched.runs),
                Some(Polled::Backpressure(pressure)) => {
                    tracing::info!("told to poll less: {}", pressure.reason);
                    let pause = convert::duration_in("retry_after", pressure.retry_after);
                    Err(pause.unwrap_or(POLL_BACKOFF))
                }
                Some(Polled::Noop(v1::Noop {})) | None => Ok(Vec::new()),
            },
            Err(status) => {
                tracing::warn!("polling failed: {}", crate::error(&status));
                Err(POLL_BACKOFF)
            }
        }
    }

    async fn drain(&self, runs: &TaskTracker) {
        runs.close();
        tracing::info!("draining {} runs", runs.len());
        self.heartbeat.drain(false);
        if tokio::time::timeout(self.settings.drain_grace, runs.wait()).await.is_err() {
            self.heartbeat.drain(true);
            // What is left only has to give its lease back; an unreachable control plane will find
            // out by itself.
            let _ = tokio::time::timeout(Duration::from_secs(5), runs.wait()).await;
        }
    }
}

fn gave_runs(polled: &Result<Vec<v1::LeasedRun>, Duration>) -> bool {
    polled.as_ref().is_ok_and(|leased| !leased.is_empty())
}

/// At least one permit, and of the others that are free the share of one of so many polls, up to what
/// one may ask for.
async fn some_room(room: &Arc<Semaphore>, parts: usize) -> Vec<OwnedSemaphorePermit> {
    let Ok(first) = room.clone().acquire_owned().await else {
        return Vec::new();
    };
    let share = (room.available_permits() / parts.max(1)).min(tenure_core::limits::LEASES - 1);
    let mut permits = vec![first];
    permits.extend((0..share).map_while(|_| room.clone().try_acquire_owned().ok()));
    permits
}
