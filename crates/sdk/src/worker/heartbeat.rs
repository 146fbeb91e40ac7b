//! Heartbeats, from a thread of their own: user code may block the event loop, a lease must not
//! depend on it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tenure_core::{Error, Name, WorkerId, limits};
use tenure_proto::{convert, v1};
use tokio::sync::{Notify, watch};

use super::standing::Standing;
use crate::client::{Client, jittered};

/// The leases that are kept alive, and the thread that does it; it ends when this is dropped.
pub(crate) struct Heartbeat {
    leases: Arc<Leases>,
    /// Dropped with this: the thread's sign to end.
    _alive: watch::Sender<()>,
}

#[derive(Default)]
struct Leases {
    held: Mutex<HashMap<String, Held>>,
    worker: Mutex<Option<WorkerId>>,
    added: Notify,
}

/// A lease that is kept alive.
struct Held {
    tenant: Name,
    lease: String,
    ttl: Duration,
    standing: Standing,
    /// How long the lease lasts without a further beat: the offer's time until the first one.
    granted: Duration,
    /// When the last request that the control plane acknowledged was *sent*.
    beaten: Instant,
}

impl Held {
    /// What is known about it, so that only what is new counts as news.
    fn known(&self, run: &str) -> v1::HeldLease {
        let state = self.standing.get();
        v1::HeldLease {
            run: run.to_owned(),
            lease: self.lease.clone(),
            inbox: state.inbox,
            cancel_requested: state.cancelled,
            pause_requested: state.paused,
        }
    }
}

/// Keeps a lease alive until it is dropped.
pub(crate) struct Hold {
    leases: Arc<Leases>,
    run: String,
    lease: String,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.leases.lock();
        // The run may have been leased to us again meanwhile: that is another lease.
        if held.get(&self.run).is_some_and(|held| held.lease == self.lease) {
            held.remove(&self.run);
        }
    }
}

impl Leases {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heartbeat {
    /// Starts the thread.
    pub(crate) fn start(client: &Client) -> Result<Self, Error> {
        let (alive, ended) = watch::channel(());
        let leases = Arc::new(Leases::default());
        let (beating, client) = (leases.clone(), client.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::internal)?;
        std::thread::Builder::new()
            .name("tenure-heartbeat".into())
            .spawn(move || runtime.block_on(beat_until(&client, &beating, ended)))
            .map_err(Error::internal)?;
        Ok(Self { leases, _alive: alive })
    }

    /// Says whose heartbeats these are.
    pub(crate) fn speak_for(&self, worker: WorkerId) {
        *self.leases.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker);
    }

    /// Keeps this lease alive from now on, and tells `standing` the news about it.
    pub(crate) fn hold(&self, leased: &v1::LeasedRun, tenant: &Name, standing: Standing) -> Hold {
        let (run, lease, tenant) = (leased.run.clone(), leased.lease.clone(), tenant.clone());
        let time = |field, time| convert::duration_in(field, time).unwrap_or_default();
        let (ttl, granted) = (time("ttl", leased.ttl), time("offer_ttl", leased.offer_ttl));
        let beaten = Instant::now();
        let held = Held { tenant, lease: lease.clone(), ttl, standing, granted, beaten };
        self.leases.lock().insert(run.clone(), held);
        self.leases.added.notify_one();
        Hold { leases: self.leases.clone(), run, lease }
    }

    /// Tells all runs that the worker is going away, at their next step boundary or at once.
    pub(crate) fn drain(&self, at_once: bool) {
        for held in self.leases.lock().values() {
            held.standing.change(|state| {
                state.draining = true;
                state.abandoned |= at_once;
            });
        }
    }
}

async fn beat_until(client: &Client, leases: &Leases, mut ended: watch::Receiver<()>) {
    let client = client.reconnected();
    tokio::select! {
        () = beat_for_ever(&client, leases) => {}
        _ = ended.changed() => {}
    }
}

async fn beat_for_ever(client: &Client, leases: &Leases) {
    loop {
        let requests = requests(leases);
        let Some(every) = interval(leases) else {
            leases.added.notified().await;
            continue;
        };
        if requests.is_empty() {
            // All that is held is lost already: there is nothing to say until that changes.
            let _ = tokio::time::timeout(every, leases.added.notified()).await;
            continue;
        }
        let sent = Instant::now();
        let beats = requests.into_iter().map(|request| beat(client, leases, request, every, sent));
        let all_well = join_all(beats).await.into_iter().all(|well| well);
        mark_stale(leases);
        if !all_well {
            tokio::time::sleep(jittered(every.min(Duration::from_secs(1)) / 2)).await;
        }
    }
}

/// How often to beat: three times in the shortest lease.
fn interval(leases: &Leases) -> Option<Duration> {
    let shortest = leases.lock().values().map(|held| held.ttl).min()?;
    Some((shortest / 3).min(limits::OFFER_TTL / 3))
}

/// One request for every 500 leases of a tenant.
fn requests(leases: &Leases) -> Vec<v1::HeartbeatRequest> {
    let worker = *leases.worker.lock().unwrap_or_else(PoisonError::into_inner);
    let worker = worker.map(|id| id.to_string()).unwrap_or_default();
    let mut tenants: BTreeMap<Name, Vec<v1::HeldLease>> = BTreeMap::new();
    for (run, held) in leases.lock().iter().filter(|(_, held)| !held.standing.get().lost) {
        tenants.entry(held.tenant.clone()).or_default().push(held.known(run));
    }
    let request = |tenant: &Name, leases: &[v1::HeldLease]| v1::HeartbeatRequest {
        tenant: tenant.to_string(),
        worker: worker.clone(),
        leases: leases.to_vec(),
        wait: None,
    };
    let chunks = tenants
        .iter()
        .flat_map(|(tenant, all)| all.chunks(limits::LEASES).map(move |leases| (tenant, leases)));
    chunks.map(|(tenant, leases)| request(tenant, leases)).collect()
}

/// One heartbeat, held for news until the next is due; whether it was answered.
async fn beat(
    client: &Client,
    leases: &Leases,
    mut request: v1::HeartbeatRequest,
    every: Duration,
    sent: Instant,
) -> bool {
    request.wait = Some(convert::duration(every));
    let beaten = request.leases.clone();
    let mut workers = client.workers();
    // A request that hangs is given up in time for another one.
    let answer = tokio::time::timeout(every + every / 2, workers.heartbeat(request)).await;
    match answer {
        Ok(Ok(response)) => {
            learn(leases, &beaten, response.into_inner().news, sent);
            true
        }
        Ok(Err(status)) => {
            tracing::warn!("heartbeat failed: {}", crate::error(&status));
            false
        }
        Err(_) => {
            tracing::warn!("heartbeat was not answered within {:?}", every + every / 2);
            false
        }
    }
}

fn learn(leases: &Leases, beaten: &[v1::HeldLease], news: Vec<v1::LeaseNews>, sent: Instant) {
    let mut all = leases.lock();
    for lease in beaten {
        if let Some(held) = all.get_mut(&lease.run).filter(|held| held.lease == lease.lease) {
            held.beaten = held.beaten.max(sent);
            held.granted = held.ttl;
        }
    }
    for piece in news {
        if let Some(held) = all.get(&piece.run).filter(|held| held.lease == piece.lease) {
            held.standing.change(|state| {
                state.lost |= piece.lost;
                state.cancelled |= piece.cancel_requested;
                state.paused = piece.pause_requested;
                state.inbox = state.inbox.max(piece.inbox);
            });
        }
    }
}

/// A lease that was not extended for most of its time may be gone: its run starts nothing new. One
/// sixth of it is left for what is being sent.
fn mark_stale(leases: &Leases) {
    for held in leases.lock().values() {
        let stale = held.beaten.elapsed() > held.granted * 5 / 6;
        held.standing.change(|state| state.stale = stale);
    }
}
