//! One leased run in this worker.

mod activity;
mod event;
mod results;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tenure_core::allowance::Estimate;
use tenure_core::{Budget, Error, Failure, Key, Name, RunId, Timestamp};
use tenure_proto::{convert, v1};
use tenure_replay::Engine;
use tokio::sync::watch;

use super::Observer;
use super::check::Check;
use super::commits::Commits;
use super::journal::Journal;
use super::publishing::Publishing;
use super::standing::Standing;
use crate::client::Client;
use crate::step::ALLOWANCE_SPENT;
use crate::step::publisher::Speaker;
use activity::Activity;
pub(super) use event::{Event, Running};
use results::Results;

/// Everything that the code of one leased run is about.
pub(crate) struct Leased {
    pub(crate) run: RunId,
    pub(crate) agent: Name,
    pub(crate) version: u32,
    pub(crate) attempts: u32,
    pub(crate) spec: Bytes,
    pub(crate) budget: Budget,
    pub(super) lease: String,
    pub(super) epoch: u64,
    /// Speaks for the run's tenant.
    pub(crate) client: Client,
    pub(super) standing: Standing,
    pub(super) journal: Journal,
    publishing: Publishing,
    pub(super) observer: Arc<dyn Observer>,
    /// Set if it only checks the journal of another run.
    pub(super) check: Option<Check>,
    engine: Mutex<Engine>,
    /// What of its journal the engine did not keep.
    results: tokio::sync::Mutex<Results>,
    activity: Mutex<Activity>,
    /// Whether the code is being polled by the run's task.
    polling: AtomicBool,
    /// How many inbox items the engine has been given.
    received: watch::Sender<u64>,
    /// When the run was leased, by the clock of its entries and by this worker's.
    since: (Timestamp, Instant),
    /// When the waits for a moment that the code is in are over.
    alarms: Mutex<HashMap<Key, Instant>>,
}

/// What a leased run is made of, beside what the wire says.
pub(super) struct Parts {
    pub(crate) client: Client,
    pub(super) commits: Arc<Commits>,
    pub(super) publishing: Publishing,
    pub(super) standing: Standing,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) spec: Bytes,
    /// Its journal, read whole: only then may its code start.
    pub(super) engine: Engine,
    pub(super) received_at: Instant,
}

impl Leased {
    pub(super) fn new(wire: &v1::LeasedRun, parts: Parts) -> Result<Self, Error> {
        let Parts { client, commits, publishing, standing, observer, spec, engine, received_at } =
            parts;
        let tenant = client.tenant().as_str();
        let journal = Journal::new(wire, tenant, commits, standing.clone());
        Ok(Self {
            run: wire.run.parse()?,
            agent: wire.agent.parse()?,
            version: wire.version,
            attempts: wire.attempts,
            spec,
            budget: convert::budget_in(wire.budget),
            lease: wire.lease.clone(),
            epoch: wire.epoch,
            client,
            standing,
            journal,
            publishing,
            observer,
            check: Check::of(wire),
            engine: Mutex::new(engine),
            results: tokio::sync::Mutex::default(),
            activity: Mutex::default(),
            polling: AtomicBool::default(),
            received: watch::Sender::default(),
            since: (convert::timestamp_in(wire.leased_at.as_ref()), received_at),
            alarms: Mutex::default(),
        })
    }

    /// The replay engine. Never held over an await.
    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alarms(&self) -> MutexGuard<'_, HashMap<Key, Instant>> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long ago an entry was made, by the database's clock as far as it has been heard.
    pub(crate) fn age(&self, at: Timestamp) -> Duration {
        self.since.0.since(at) + self.since.1.elapsed()
    }

    /// The time, by the database's clock as far as it has been heard.
    pub(crate) fn database_now(&self) -> Timestamp {
        self.since.0 + self.since.1.elapsed()
    }

    /// The tenant that the run belongs to.
    pub(crate) fn tenant(&self) -> &Name {
        self.client.tenant()
    }

    /// Who speaks when a step of the run says something.
    pub(crate) fn speaker(&self) -> Speaker<'_> {
        Speaker {
            publishing: &self.publishing,
            tenant: self.client.tenant().as_str(),
            run: self.run.to_string(),
            lease: &self.lease,
            epoch: self.epoch,
        }
    }

    /// Keeps bytes as an artifact of the run.
    pub(crate) async fn put_artifact(
        &self,
        name: &str,
        content_type: &str,
        data: Bytes,
    ) -> Result<v1::PutArtifactResponse, Failure> {
        let request = v1::PutArtifactRequest {
            tenant: self.client.tenant().to_string(),
            run: self.run.to_string(),
            lease: self.lease.clone(),
            name: name.to_owned(),
            content_type: content_type.to_owned(),
            data,
        };
        let put = || {
            let (mut workers, request) = (self.client.workers(), request.clone());
            async move { workers.put_artifact(request).await }
        };
        let put = self.client.retry(put).await;
        put.map_err(|error| failed(&error))
    }

    /// Reserves for a step, of what the tenant and the agent may use.
    pub(crate) async fn reserve(&self, key: &Key, estimate: Estimate) -> Result<(), Failure> {
        let request = v1::ReserveRequest {
            tenant: self.client.tenant().to_string(),
            run: self.run.to_string(),
            lease: self.lease.clone(),
            key: key.to_string(),
            cost_micros: estimate.cost_micros,
            tokens: estimate.tokens,
        };
        let reserve = || {
            let (mut workers, request) = (self.client.workers(), request.clone());
            async move { workers.reserve(request).await }
        };
        let reserved = self.client.retry(reserve).await;
        let reserved = reserved.map_err(|error| failed(&error))?;
        let Some(spent) = reserved.spent else { return Ok(()) };
        let code = if spent.unpriced { "price_unknown" } else { ALLOWANCE_SPENT };
        Err(Failure::permanent(code, spent.message))
    }

    /// The run's artifacts, without their bytes.
    pub(crate) async fn artifacts(&self) -> Result<Vec<v1::Artifact>, Failure> {
        let tenant = self.client.tenant().to_string();
        let request = v1::ListArtifactsRequest { tenant, run: self.run.to_string() };
        let list = || {
            let (mut runs, request) = (self.client.runs(), request.clone());
            async move { runs.list_artifacts(request).await }
        };
        let listed = self.client.retry(list).await;
        let listed = listed.map_err(|error| failed(&error))?;
        Ok(listed.artifacts)
    }

    /// One of them with its bytes.
    pub(crate) async fn artifact(&self, name: &str) -> Result<v1::Artifact, Failure> {
        let tenant = self.client.tenant().to_string();
        let (run, name) = (self.run.to_string(), name.to_owned());
        let request = v1::GetArtifactRequest { tenant, run, name };
        let get = || {
            let (mut runs, request) = (self.client.runs(), request.clone());
            async move { runs.get_artifact(request).await }
        };
        let got = self.client.retry(get).await;
        got.map_err(|error| failed(&error))
    }

    /// Gives the engine what has arrived since it was last given something.
    pub(super) async fn read_inbox(&self) -> Result<(), Error> {
        loop {
            let request = v1::ReadInboxRequest {
                tenant: self.client.tenant().to_string(),
                run: self.run.to_string(),
                after: self.engine().received(),
            };
            let read = || {
                let (mut workers, request) = (self.client.workers(), request.clone());
                async move { workers.read_inbox(request).await }
            };
            let page = self.client.retry(read).await?;
            let items = page.items.into_iter().map(convert::inbox_item_in);
            let items = items.collect::<Result<Vec<_>, _>>()?;
            self.engine().receive(items);
            self.received.send_replace(self.engine().received());
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Returns when the engine has been given all that is known to have arrived.
    async fn inbox_read(&self) {
        let known = self.standing.get().inbox;
        let mut received = self.received.subscribe();
        if self.check.is_none() {
            // The sender is `self`, so it is there.
            let _ = received.wait_for(|received| *received >= known).await;
        }
    }
}

/// What a call that the control plane refused is to the code of a run.
fn failed(error: &Error) -> Failure {
    Failure::permanent(error.kind().as_str(), error.message())
}
