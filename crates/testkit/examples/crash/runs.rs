//! The client: creates the runs, sends them their signals and answers, steers some, keeps its own
//! ledger of all that, and watches the runs to their end.

mod answers;
mod ledger;
mod sight;
mod steering;
mod watching;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use ledger::{Ledger, Outcome, Reply};
use sight::Sight;
use tenure_sdk::{Client, Error, v1};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::log::Log;
use crate::memory::Memory;
use crate::program::{self, AGENT, json};

/// Runs that are open at a time, most of them waiting: so they are created, like executed, between
/// faults.
const OPEN: usize = 40;
/// One request in so many is sent again although it was answered.
const REPEATED: usize = 4;
/// The longest pause before a signal, in milliseconds: it comes before, while and after its run
/// waits for it.
const SIGNAL_MILLIS: u64 = 1_500;
/// How long after an entry a run that waits is about to be parked, in milliseconds: a signal that
/// comes in that moment must wake it all the same.
const PARKING_MILLIS: std::ops::Range<u64> = 95..125;
/// The client.
pub(crate) struct Runs {
    pub(crate) client: Client,
    /// Somebody else, who answers as well.
    rival: Client,
    log: Log,
    seed: u64,
    ledger: Mutex<Ledger>,
    memory: Arc<Memory>,
    ended: AtomicUsize,
    enough: CancellationToken,
}

impl Runs {
    /// None yet.
    pub(crate) fn new(
        [client, rival]: [Client; 2],
        log: Log,
        seed: u64,
        memory: Arc<Memory>,
    ) -> Arc<Self> {
        Arc::new(Self {
            client,
            rival,
            log,
            seed,
            ledger: Mutex::default(),
            memory,
            ended: AtomicUsize::default(),
            enough: CancellationToken::new(),
        })
    }

    /// What was asked for and answered.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many have ended.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Creates no more.
    pub(crate) fn enough(&self) {
        self.enough.cancel();
    }

    /// Creates so many runs, or as many as there is time for, and follows all of them to their end.
    pub(crate) async fn create_all(self: Arc<Self>, wanted: Option<u32>) {
        let open = Arc::new(Semaphore::new(OPEN));
        let mut tasks = JoinSet::new();
        for number in 0..wanted.unwrap_or(u32::MAX) {
            let Some(place) = self.place(&open).await else { break };
            let this = self.clone();
            tasks.spawn(async move {
                this.live(u64::from(number)).await;
                drop(place);
            });
            while tasks.try_join_next().is_some() {}
        }
        tasks.join_all().await;
    }

    /// Room for one more, unless it is enough.
    async fn place(&self, open: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            () = self.enough.cancelled() => None,
            place = open.clone().acquire_owned() => place.ok(),
        }
    }

    /// One run, from its creation to its end.
    async fn live(self: &Arc<Self>, number: u64) {
        let input = fastrand::Rng::with_seed(self.seed.rotate_left(32) ^ number).u64(..);
        match self.create(number, input).await {
            Ok(run) => {
                let sight = watch::Sender::new(Sight::default());
                tokio::join!(
                    self.follow(&run, &sight),
                    self.signal_all(&run, input, &sight),
                    self.answer_all(&run, input, &sight),
                    self.steer(&run, input, &sight),
                );
            }
            Err(problem) => self.ledger().problems.push(problem),
        }
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    async fn create(&self, number: u64, input: u64) -> Result<String, String> {
        let request = v1::CreateRunRequest {
            tenant: self.client.tenant().to_string(),
            agent: AGENT.into(),
            input: Some(json(input)),
            idempotency_key: format!("crash-{}-{number}", self.seed),
            ..v1::CreateRunRequest::default()
        };
        self.ledger().created += 1;
        let refused = |error| format!("{} was refused: {error}", request.idempotency_key);
        let run = self.send_create(&request).await.map_err(refused)?.id;
        if self.ledger().acknowledge(&run).is_multiple_of(REPEATED) {
            self.ledger().repeated += 1;
            let again = self.send_create(&request).await.map_err(refused)?.id;
            if again != run {
                return Err(format!("run {number} was created twice: {run} and {again}"));
            }
        }
        Ok(run)
    }

    /// Sends the request until it is answered.
    async fn send_create(&self, request: &v1::CreateRunRequest) -> Result<v1::Run, Error> {
        let sent = AtomicUsize::new(0);
        let create = || {
            sent.fetch_add(1, Ordering::Relaxed);
            let (mut runs, request) = (self.client.runs(), request.clone());
            async move { runs.create_run(request).await }
        };
        let answer = self.client.retry(create).await;
        self.ledger().unknown += sent.into_inner().saturating_sub(1);
        answer
    }

    /// Sends a run all signals that it will wait for, one after another.
    async fn signal_all(&self, run: &str, input: u64, sight: &watch::Sender<Sight>) {
        for number in 0..program::signals(&program::of(AGENT, input).parts) {
            pause(sight).await;
            if let Err(error) = self.signal(run, input, number).await {
                self.ledger().problems.push(format!("{run}: signal {number}: {error}"));
                return;
            }
        }
    }

    async fn signal(&self, run: &str, input: u64, number: usize) -> Result<(), Error> {
        let request = v1::SignalRunRequest {
            tenant: self.client.tenant().to_string(),
            run: run.into(),
            name: program::SIGNAL.into(),
            payload: Some(json(program::brought(input, number))),
            request_id: number.to_string(),
        };
        self.send_signal(&request).await?;
        if self.ledger().signal(run).is_multiple_of(REPEATED) {
            self.ledger().repeated += 1;
            // Answered as before, also by a run that has ended meanwhile.
            self.send_signal(&request).await?;
        }
        Ok(())
    }

    /// Sends the request until it is answered.
    async fn send_signal(&self, request: &v1::SignalRunRequest) -> Result<(), Error> {
        let sent = AtomicUsize::new(0);
        let signal = || {
            sent.fetch_add(1, Ordering::Relaxed);
            let (mut runs, request) = (self.client.runs(), request.clone());
            async move { runs.signal_run(request).await }
        };
        let answer = self.client.retry(signal).await;
        self.ledger().unknown += sent.into_inner().saturating_sub(1);
        answer.map(|_| ())
    }
}

/// Before a signal: some time, or until the run may be about to be parked.
async fn pause(sight: &watch::Sender<Sight>) {
    let some_time = sleep(Duration::from_millis(fastrand::u64(..SIGNAL_MILLIS)));
    if fastrand::bool() {
        return some_time.await;
    }
    let mut seen = sight.subscribe();
    tokio::select! {
        () = some_time => {}
        _ = seen.changed() => sleep(Duration::from_millis(fastrand::u64(PARKING_MILLIS))).await,
    }
}
