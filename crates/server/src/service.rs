//! The use cases, one per file. Transports decode, call one of these, and encode.

mod agents;
mod aliases;
mod allowances;
mod artifacts;
mod cancel_run;
mod caps;
mod catalog;
mod check_run;
mod commit;
mod create_run;
mod deliver;
pub(crate) mod effects;
mod expire;
mod explain_run;
mod fork_run;
mod heartbeat;
mod inbox;
mod journal;
mod patch_run;
mod pause_run;
mod poll;
mod prioritize_run;
mod publish;
mod publish_version;
mod resolve;
mod resume_run;
mod retry_run;
mod runs;
mod signal_run;
mod tenants;
mod time_out;
mod turns;
mod versions;
mod watch_run;

use std::sync::Arc;
use std::time::Duration;

pub use allowances::{Named, Reserve, Spent};
pub use create_run::CreateRun;
pub use fork_run::ForkRun;
pub use heartbeat::{HeldLease, LeaseNews};
pub use inbox::{Asked, InboxFilter};
pub use journal::JournalPage;
pub use poll::{Checked, LeasedRun, Poll, Polled};
pub use runs::ListRuns;
use tenure_core::{Transition, limits};
use tenure_store::{Hint, Store};
use tokio_util::sync::CancellationToken;
pub use watch_run::{RunEvent, WatchRun};

use crate::carrier::{Carrier, Database};
use crate::dispatch::Dispatch;
use crate::entropy::Entropy;
use crate::ledger::{Lane, Ledger, Memory};
use crate::streams::Streams;
use crate::wake::{Subscription, Wake};
use catalog::Catalog;

/// The control plane's use cases over one store. Everything it knows is in the store; what it keeps
/// itself are caches of what never changes, and who is waiting.
pub struct Service {
    store: Arc<dyn Store>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    ledger: Ledger,
    memory: Arc<Memory>,
    wake: Arc<Wake>,
    streams: Streams,
    carrier: Arc<dyn Carrier>,
    dispatch: Arc<Dispatch>,
    catalog: Catalog,
}

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a lease lasts without a sign of life.
    pub lease_ttl: Duration,
    /// How long an offer waits for its first sign of life; at most the lease's time.
    pub offer_ttl: Duration,
    /// How long a cancelled run may clean up.
    pub cancel_grace: Duration,
    /// How often the background ticks look, and pollers that no wake-up reached.
    pub tick: Duration,
    /// Sites whose pages may call, such as `https://app.example.com`.
    pub cors_origins: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease_ttl: limits::LEASE_TTL,
            offer_ttl: limits::OFFER_TTL,
            cancel_grace: limits::CANCEL_GRACE,
            tick: Duration::from_millis(500),
            cors_origins: Vec::new(),
        }
    }
}

impl Service {
    /// The use cases over this store. Needs a tokio runtime, which carries the ledger's lanes.
    pub fn new(store: Arc<dyn Store>, entropy: Arc<dyn Entropy>, settings: Settings) -> Arc<Self> {
        let carrier = Arc::new(Database::new(store.clone()));
        Self::with_carrier(store, entropy, settings, carrier)
    }

    /// The same, where something else than the store carries hints between replicas.
    pub fn with_carrier(
        store: Arc<dyn Store>,
        entropy: Arc<dyn Entropy>,
        settings: Settings,
        carrier: Arc<dyn Carrier>,
    ) -> Arc<Self> {
        let memory = Arc::new(Memory::default());
        let wake = Arc::new(Wake::new(memory.clone(), entropy.random()));
        let dispatch = Arc::new(Dispatch::new(settings.tick));
        let lane = Lane {
            store: store.clone(),
            wake: wake.clone(),
            memory: memory.clone(),
            dispatch: dispatch.clone(),
            entropy: entropy.clone(),
            offer_ttl: settings.offer_ttl.min(settings.lease_ttl),
        };
        let ledger = Ledger::start(&lane);
        Arc::new(Self {
            dispatch,
            memory,
            catalog: Catalog::default(),
            store,
            entropy,
            settings,
            ledger,
            wake,
            streams: Streams::new(),
            carrier,
        })
    }

    /// How long to wait before looking again without a wake-up: spread out, so that replicas and
    /// pollers that started together do not look together.
    pub(crate) fn tick(&self) -> Duration {
        self.settings.tick.mul_f64(0.75 + self.spread() / 2.0)
    }

    /// A random number from 0 to 1.
    pub(crate) fn spread(&self) -> f64 {
        let spread = self.entropy.random() % 1024;
        f64::from(u32::try_from(spread).unwrap_or(0)) / 1024.0
    }

    /// Sites whose pages may call.
    pub(crate) fn cors_origins(&self) -> &[String] {
        &self.settings.cors_origins
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    pub(crate) fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    pub(crate) fn subscribe(&self, hints: impl IntoIterator<Item = Hint>) -> Subscription {
        self.wake.subscribe(hints)
    }

    /// Remembers what was saved, and wakes whom it concerns.
    pub(crate) fn saved(&self, transitions: &[Transition]) {
        for transition in transitions {
            self.memory.note(Arc::new(transition.run.clone()));
        }
        effects::tell(&self.wake, transitions);
    }

    /// Whom to wake.
    pub(crate) fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Carries wake-ups between replicas until `shutdown`.
    pub(crate) async fn exchange_hints(&self, shutdown: &CancellationToken) {
        self.wake.exchange(&*self.carrier, shutdown).await;
    }

    /// Carries events of runs between replicas until `shutdown`.
    pub(crate) async fn exchange_events(&self, shutdown: &CancellationToken) {
        self.streams.exchange(&*self.carrier, shutdown).await;
    }
}
