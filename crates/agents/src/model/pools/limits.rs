//! What providers let us have in a minute: reserved before a call, settled after it, and shared by
//! all workers where there is a Redis.

mod bucket;
mod shared;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenure_sdk::Digest;
use tenure_spec::backends::{Backend, KeyPlace};

use super::clock::Clock;
use bucket::{Amount, Bucket, PerMinute};
use shared::{Op, Shared};

pub use shared::SharedLimits;

/// The limits of one backend.
pub(super) struct Limiter {
    limit: PerMinute,
    /// Its name in Redis.
    id: String,
    shared: Option<Arc<Shared>>,
    /// What this worker has taken, which counts alone while there is no Redis.
    own: Mutex<Bucket>,
    clock: Clock,
}

impl Limiter {
    pub(super) fn new(backend: &Backend, shared: Option<&SharedLimits>, clock: Clock) -> Self {
        let limit = PerMinute {
            requests: backend.requests_per_minute.unwrap_or_default(),
            tokens: backend.tokens_per_minute.unwrap_or_default(),
        };
        let shared = shared.map(SharedLimits::shared);
        Self { limit, id: id(backend), shared, own: Mutex::default(), clock }
    }

    /// Reserves a call of so many tokens, or says how long it has to wait.
    pub(super) async fn take(&self, tokens: u64) -> Result<(), Duration> {
        let amount = Amount { requests: 1.0, tokens: count(tokens) };
        match self.ask(Op::Take(amount)).await {
            Some(wait) if wait.is_zero() => self.own().settle(self.limit, amount, self.clock.now()),
            Some(wait) => return Err(wait),
            None => self.own().take(self.limit, amount, self.clock.now())?,
        }
        Ok(())
    }

    /// A call for which so many tokens were reserved has had so many.
    pub(super) async fn settle(&self, reserved: u64, had: u64) {
        let tokens = count(had) - count(reserved);
        if self.limit.tokens == 0 || reserved == had {
            return;
        }
        let amount = Amount { requests: 0.0, tokens };
        self.own().settle(self.limit, amount, self.clock.now());
        self.ask(Op::Settle(amount)).await;
    }

    /// Nobody calls for so long: the provider has said so.
    pub(super) async fn pause(&self, pause: Duration) {
        self.own().pause(pause, self.clock.now());
        self.ask(Op::Pause(pause)).await;
    }

    /// What Redis says, if there is one.
    async fn ask(&self, op: Op) -> Option<Duration> {
        self.shared.as_ref()?.ask(&self.id, op, self.limit).await
    }

    fn own(&self) -> MutexGuard<'_, Bucket> {
        // Nothing can panic while it is held.
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tokens as the buckets count them.
#[expect(clippy::cast_precision_loss, reason = "counts of tokens are far below 2^53")]
fn count(tokens: u64) -> f64 {
    tokens as f64
}

/// The same for all workers that mean the same account, and without anything of the key: the place
/// of the key stands for it.
fn id(backend: &Backend) -> String {
    let key = match &backend.key {
        None => String::new(),
        Some(KeyPlace::Variable(name)) => format!("env://{name}"),
        Some(KeyPlace::File(path)) => format!("file://{}", path.display()),
    };
    let url = backend.base_url.as_deref().unwrap_or_default();
    let parts = [backend.name.as_str(), backend.provider.name(), url, &key];
    // Half of it is more than enough to tell backends apart.
    Digest::of(parts.join("\n")).to_string()[..32].to_owned()
}
