//! Heartbeats, from a thread of their own: user code may block the event loop, a lease must not
//! depend on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tenure_core::{Error, Name, WorkerId, limits};
use tenure_proto::{convert, v1};
use tokio::sync::{Notify, watch};

use super::standing::{Standing, good_until};
use crate::client::{Client, jittered};

/// The leases that are kept alive, and the thread that does it; it ends when this is dropped.
pub(crate) struct Heartbeat {
    /// Each tenant is spoken for apart: news of one must not wait for another's.
    tenants: BTreeMap<Name, Arc<Leases>>,
    /// What runs were told of the worker's end, and those that still come are told as well.
    leaving: Mutex<Leaving>,
    /// Dropped with this: the thread's sign to end.
    _alive: watch::Sender<()>,
}

/// Whether the worker is going away, and whether it still waits for steps to end.
#[derive(Clone, Copy, Default)]
struct Leaving {
    draining: bool,
    abandoned: bool,
}

impl Leaving {
    fn tell(self, standing: &Standing) {
        standing.change(|state| {
            state.draining |= self.draining;
            state.abandoned |= self.abandoned;
        });
    }
}

/// The leases of one tenant's runs.
struct Leases {
    tenant: Name,
    worker: WorkerId,
    held: Mutex<HashMap<String, Held>>,
    added: Notify,
}

/// A lease that is kept alive.
struct Held {
    lease: String,
    ttl: Duration,
    standing: Standing,
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
    fn new(tenant: Name, worker: WorkerId) -> Self {
        Self { tenant, worker, held: Mutex::default(), added: Notify::new() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heartbeat {
    /// Starts the thread, for this worker and the runs of these tenants.
    pub(crate) fn start(
        client: &Client,
        worker: WorkerId,
        tenants: &BTreeSet<Name>,
    ) -> Result<Self, Error> {
        let (alive, ended) = watch::channel(());
        let leases =
            |tenant: &Name| (tenant.clone(), Arc::new(Leases::new(tenant.clone(), worker)));
        let tenants: BTreeMap<Name, Arc<Leases>> = tenants.iter().map(leases).collect();
        let (beating, client) = (tenants.values().cloned().collect(), client.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::internal)?;
        std::thread::Builder::new()
            .name("tenure-heartbeat".into())
            .spawn(move || runtime.block_on(beat_until(&client, beating, ended)))
            .map_err(Error::internal)?;
        Ok(Self { tenants, leaving: Mutex::default(), _alive: alive })
    }

    /// Keeps this lease alive from now on, and tells `standing` the news about it. Nothing if the run
    /// is of a tenant that nobody asked for.
    pub(crate) fn hold(
        &self,
        leased: &v1::LeasedRun,
        tenant: &Name,
        standing: Standing,
    ) -> Option<Hold> {
        let leases = self.tenants.get(tenant)?.clone();
        let (run, lease) = (leased.run.clone(), leased.lease.clone());
        let time = |field, time| convert::duration_in(field, time).unwrap_or_default();
        let (ttl, granted) = (time("ttl", leased.ttl), time("offer_ttl", leased.offer_ttl));
        standing.change(|state| state.good_until = Some(good_until(Instant::now(), granted)));
        let told = standing.clone();
        let held = Held { lease: lease.clone(), ttl, standing };
        leases.lock().insert(run.clone(), held);
        // Looked at behind the insertion: whoever drains meanwhile finds the lease held.
        self.leaving().tell(&told);
        leases.added.notify_one();
        Some(Hold { leases, run, lease })
    }

    /// Tells all runs that the worker is going away, at their next step boundary or at once.
    pub(crate) fn drain(&self, at_once: bool) {
        let leaving = {
            let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
            leaving.draining = true;
            leaving.abandoned |= at_once;
            *leaving
        };
        for leases in self.tenants.values() {
            leases.lock().values().for_each(|held| leaving.tell(&held.standing));
        }
    }

    fn leaving(&self) -> Leaving {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn beat_until(client: &Client, all: Vec<Arc<Leases>>, mut ended: watch::Receiver<()>) {
    let client = client.reconnected();
    let beats = join_all(all.iter().map(|leases| beat_for_ever(&client, leases)));
    tokio::select! {
        _ = beats => {}
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

/// One request for every 500 leases.
fn requests(leases: &Leases) -> Vec<v1::HeartbeatRequest> {
    let all: Vec<v1::HeldLease> = leases
        .lock()
        .iter()
        .filter(|(_, held)| !held.standing.get().lost)
        .map(|(run, held)| held.known(run))
        .collect();
    let request = |held: &[v1::HeldLease]| v1::HeartbeatRequest {
        tenant: leases.tenant.to_string(),
        worker: leases.worker.to_string(),
        leases: held.to_vec(),
        wait: None,
    };
    all.chunks(limits::LEASES).map(request).collect()
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
    let all = leases.lock();
    for lease in beaten {
        if let Some(held) = all.get(&lease.run).filter(|held| held.lease == lease.lease) {
            held.standing.extend(good_until(sent, held.ttl));
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
