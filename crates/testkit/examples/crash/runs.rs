//! The client: creates the runs, keeps its own ledger of them, and watches them to their end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_sdk::{Client, v1};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use v1::watch_run_response::Event;

use crate::agent::AGENT;
use crate::memory::Memory;

/// Runs that are open at a time: so they are created, like executed, between kills.
const OPEN: usize = 20;
/// One request in so many is sent again although it was answered.
const REPEATED: u32 = 4;
/// The pause before a watch that broke is begun again.
const AGAIN: Duration = Duration::from_millis(100);

/// The client's ledger.
pub(crate) struct Runs {
    pub(crate) client: Client,
    /// How many are to be created.
    pub(crate) wanted: usize,
    /// Requests whose outcome was unknown, and which were sent again.
    pub(crate) unknown: AtomicUsize,
    /// Requests that were sent again although they were answered.
    pub(crate) repeated: AtomicUsize,
    acknowledged: Mutex<Vec<String>>,
    problems: Mutex<Vec<String>>,
    ended: watch::Sender<usize>,
}

impl Runs {
    /// None yet.
    pub(crate) fn new(client: Client, wanted: usize) -> Arc<Self> {
        Arc::new(Self {
            client,
            wanted,
            unknown: AtomicUsize::new(0),
            repeated: AtomicUsize::new(0),
            acknowledged: Mutex::default(),
            problems: Mutex::default(),
            ended: watch::Sender::new(0),
        })
    }

    /// The ids of those whose creation was acknowledged.
    pub(crate) fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What must not have happened.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many have ended.
    pub(crate) fn ended(&self) -> usize {
        *self.ended.borrow()
    }

    /// Waits until so many have ended.
    pub(crate) async fn until_ended(&self, count: usize) {
        let mut ended = self.ended.subscribe();
        // The sender is `self`: it is there.
        let _ = ended.wait_for(|ended| *ended >= count).await;
    }

    /// Begins to create all of them; they are followed until the answer is dropped.
    pub(crate) fn begin(self: &Arc<Self>, seed: u64, memory: &Arc<Memory>) -> JoinSet<()> {
        let open = Arc::new(Semaphore::new(OPEN));
        let mut tasks = JoinSet::new();
        for number in 0..u32::try_from(self.wanted).unwrap_or(u32::MAX) {
            let (runs, memory, open) = (self.clone(), memory.clone(), open.clone());
            tasks.spawn(async move {
                let _place = open.acquire().await;
                match runs.create(number, seed).await {
                    Ok(run) => runs.follow(&run, &memory).await,
                    Err(problem) => runs.note(problem),
                }
                runs.ended.send_modify(|ended| *ended += 1);
            });
        }
        tasks
    }

    fn note(&self, problem: String) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    async fn create(&self, number: u32, seed: u64) -> Result<String, String> {
        let request = v1::CreateRunRequest {
            tenant: self.client.tenant().to_string(),
            agent: AGENT.into(),
            input: Some(v1::Payload {
                content_type: "application/json".into(),
                encoding: String::new(),
                data: number.to_string().into(),
            }),
            idempotency_key: format!("crash-{seed}-{number}"),
            ..v1::CreateRunRequest::default()
        };
        let run = self.acknowledge(&request).await?;
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(run.clone());
        if number.is_multiple_of(REPEATED) {
            self.repeated.fetch_add(1, Ordering::Relaxed);
            let again = self.acknowledge(&request).await?;
            if again != run {
                return Err(format!("run {number} was created twice: {run} and {again}"));
            }
        }
        Ok(run)
    }

    /// Sends a request until it is answered, and gives the run's id.
    async fn acknowledge(&self, request: &v1::CreateRunRequest) -> Result<String, String> {
        let sent = AtomicUsize::new(0);
        let create = || {
            sent.fetch_add(1, Ordering::Relaxed);
            let (mut runs, request) = (self.client.runs(), request.clone());
            async move { runs.create_run(request).await }
        };
        let created = self.client.retry(create).await;
        self.unknown.fetch_add(sent.into_inner().saturating_sub(1), Ordering::Relaxed);
        match created {
            Ok(run) => Ok(run.id),
            Err(error) => Err(format!("{} was refused: {error}", request.idempotency_key)),
        }
    }

    /// Watches a run until it has ended, through as many control planes as that takes.
    async fn follow(&self, run: &str, memory: &Memory) {
        let mut after_seq = 0;
        while !self.watch(run, &mut after_seq, memory).await {
            sleep(AGAIN).await;
        }
    }

    /// Watches until the run has ended or the connection has; whether it was the run.
    async fn watch(&self, run: &str, after_seq: &mut u64, memory: &Memory) -> bool {
        let request = v1::WatchRunRequest {
            tenant: self.client.tenant().to_string(),
            run: run.into(),
            after_seq: *after_seq,
        };
        let Ok(events) = self.client.runs().watch_run(request).await else { return false };
        let mut events = events.into_inner();
        while let Ok(Some(response)) = events.message().await {
            match response.event {
                Some(Event::Entry(entry)) => {
                    *after_seq = entry.seq;
                    memory.see(run, entry);
                }
                Some(Event::Run(run)) if run.ended_at.is_some() => return true,
                Some(Event::Run(_)) | None => {}
            }
        }
        false
    }
}
