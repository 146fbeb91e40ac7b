//! Backends and pools: which endpoint of which provider answers, and how well each of them is.
//!
//! What is decided is pure: [`fit`] (can this backend answer?), [`order`] (which is asked first?) and
//! [`health`] (is it well?). [`backend`] asks and notes what comes of it, [`pooled`] goes on to the
//! next one, [`limits`] holds back what a provider would refuse, and [`keep`] looks after the models.

mod backend;
mod clock;
mod fit;
mod health;
mod heard;
mod keep;
mod limits;
mod list;
mod needs;
mod order;
mod pooled;
mod pull;
mod report;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tenure_sdk::Failure;
use tenure_spec::backends::{Pool, Purpose};
use tenure_spec::{Backends, Model as Spec, Provider};

use super::keys::BackendConfig;
use super::remote::Remotes;
use backend::Backend;
use health::Rules;
use limits::Limiter;
use list::Lister;

pub use clock::Clock;
pub use health::State;
pub use limits::SharedLimits;
pub use pooled::Pooled;
pub use report::Report;

/// All pools of a worker, and the backends that they share.
pub struct Pools {
    backends: Vec<Arc<Backend>>,
    groups: Arc<Vec<Group>>,
    remotes: Remotes,
    lister: Lister,
    clock: Clock,
}

/// A pool with its backends.
struct Group {
    pool: Pool,
    backends: Vec<Arc<Backend>>,
    /// How often one was chosen.
    cursor: AtomicUsize,
}

impl Pools {
    pub(super) fn new(config: BackendConfig, remotes: &Remotes) -> Result<Self, String> {
        let BackendConfig { all, mut keys, limits, clock } = config;
        let of = |declared: &tenure_spec::backends::Backend| {
            let key = keys.remove(&declared.name);
            let limiter = Limiter::new(declared, limits.as_ref(), clock.clone());
            let rules = rules(&all, &declared.name);
            Arc::new(Backend::new(declared.clone(), key, rules, limiter, clock.clone()))
        };
        let backends: Vec<_> = all.backends.iter().map(of).collect();
        let groups = all.pools.iter().map(|pool| Group::of(pool, &backends)).collect();
        let (groups, lister) = (Arc::new(groups), Lister::new()?);
        Ok(Self { backends, groups, remotes: remotes.clone(), lister, clock })
    }

    /// The model of a pool that a specification asks for.
    pub(super) fn open(&self, wish: &Spec) -> Result<Pooled, Failure> {
        Pooled::open(self, wish)
    }

    /// A pool whose backends are known to have this model: the graph's `own`, or the first.
    pub(super) fn with_model<'a>(
        &'a self,
        own: Option<&str>,
        purpose: Purpose,
        provider: Option<Provider>,
        name: &str,
    ) -> Option<&'a str> {
        let fits = |group: &&Group| {
            let of = |backend: &&Arc<Backend>| {
                provider.is_none_or(|provider| provider == backend.declared.provider)
            };
            let has = |backend: &Arc<Backend>| backend.has(&group.pool, name);
            group.pool.purpose == purpose && group.backends.iter().filter(of).any(has)
        };
        let all = self.groups.iter().filter(fits).map(|group| group.pool.name.as_str());
        let is_own = |pool: &&str| own == Some(*pool);
        all.clone().find(is_own).or_else(|| all.clone().next())
    }
}

impl Group {
    fn of(pool: &Pool, all: &[Arc<Backend>]) -> Self {
        let named = |name: &String| all.iter().find(|backend| backend.name() == name).cloned();
        let backends = pool.backends.iter().filter_map(named).collect();
        Self { pool: pool.clone(), backends, cursor: AtomicUsize::new(0) }
    }
}

/// The rules for a backend: of several pools the one that is patient the least, and leaves it alone
/// the longest.
fn rules(all: &Backends, backend: &str) -> Rules {
    let usual = Pool::of(String::new(), Vec::new());
    let pools = || all.pools.iter().filter(|pool| pool.backends.iter().any(|name| name == backend));
    let failures = pools().map(|pool| pool.failures).min().unwrap_or(usual.failures);
    let pause: Option<Duration> = pools().map(|pool| pool.pause.0).max();
    Rules { failures, pause: pause.unwrap_or(usual.pause.0) }
}
