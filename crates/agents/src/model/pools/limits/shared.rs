//! Limits that all workers share through one Redis. Its clock decides, not those of the workers.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisError};
use tokio::time::Instant;

use super::bucket::{Amount, PerMinute};

/// The buckets and what is done with them, in one step that nothing comes between.
const SCRIPT: &str = include_str!("bucket.lua");
/// How long an answer may take. Every call of a model waits for it.
const ANSWER: Duration = Duration::from_millis(500);
/// How long connecting may take, with name resolution, TLS and login.
const CONNECT: Duration = Duration::from_secs(2);
/// How long it is left alone when it failed: until then each worker counts by itself.
const AGAIN: Duration = Duration::from_secs(1);

/// What is done with the buckets of a backend.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Take(Amount),
    Settle(Amount),
    Pause(Duration),
}

/// A Redis that all workers of an installation share.
#[derive(Clone)]
pub struct SharedLimits(Arc<Shared>);

pub(super) struct Shared {
    client: Client,
    prefix: String,
    link: Mutex<Link>,
    well: AtomicBool,
}

/// The connection, and when it may be tried again.
#[derive(Default)]
struct Link {
    connection: Option<MultiplexedConnection>,
    again: Option<Instant>,
}

impl SharedLimits {
    /// By the Redis that this URL names: `redis://[USER:PASSWORD@]HOST[:PORT]`, `rediss://…` for TLS,
    /// or `unix:///PATH`. Keys begin with `PREFIX:limit:`. Nothing is connected before the first
    /// call. The error says what is wrong without the URL, which may hold a password.
    pub fn new(url: &str, prefix: &str) -> Result<Self, String> {
        let wrong = |error: RedisError| {
            format!(
                "this is not the URL of a Redis ({error}); write redis://USER:PASSWORD@HOST:PORT, \
                 rediss://… for TLS, or unix:///PATH"
            )
        };
        let info = url.into_connection_info().map_err(wrong)?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err("`#insecure` is not supported: the certificate is checked".into());
        }
        let client = Client::open(info).map_err(wrong)?;
        let (prefix, link, well) = (prefix.into(), Mutex::default(), AtomicBool::new(true));
        Ok(Self(Arc::new(Shared { client, prefix, link, well })))
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.0.clone()
    }
}

impl fmt::Debug for SharedLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limits in the Redis at {}", self.0.client.get_connection_info().addr())
    }
}

impl Shared {
    /// How long to wait; zero if it is done, nothing if there is no Redis to ask.
    pub(super) async fn ask(&self, id: &str, op: Op, limit: PerMinute) -> Option<Duration> {
        let mut connection = self.connection().await?;
        let mut command = redis::cmd("EVAL");
        command.arg(SCRIPT).arg(1).arg(format!("{}:limit:{id}", self.prefix));
        let (word, one, two) = match op {
            Op::Take(Amount { requests, tokens }) => ("take", requests, tokens),
            Op::Settle(Amount { requests, tokens }) => ("settle", requests, tokens),
            Op::Pause(pause) => ("pause", pause.as_secs_f64() * 1_000.0, 0.0),
        };
        command.arg(word).arg(limit.requests).arg(limit.tokens).arg(one).arg(two);
        match command.query_async::<u64>(&mut connection).await {
            Ok(wait) => {
                self.say(None);
                Some(Duration::from_millis(wait))
            }
            Err(error) => {
                self.lost(&error);
                None
            }
        }
    }

    /// The connection, made anew now and then while there is none. Whoever comes while it is made
    /// does not wait.
    async fn connection(&self) -> Option<MultiplexedConnection> {
        {
            let mut link = self.link();
            if let Some(connection) = &link.connection {
                return Some(connection.clone());
            }
            if link.again.is_some_and(|again| Instant::now() < again) {
                return None;
            }
            link.again = Some(Instant::now() + CONNECT);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        let made = self.client.get_multiplexed_async_connection_with_config(&config).await;
        match made {
            Ok(connection) => {
                self.link().connection = Some(connection.clone());
                Some(connection)
            }
            Err(error) => {
                self.lost(&error);
                None
            }
        }
    }

    fn lost(&self, error: &RedisError) {
        self.say(Some(error));
        *self.link() = Link { connection: None, again: Some(Instant::now() + AGAIN) };
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        // Nothing can panic while it is held.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says when it begins to work or to fail, not each time.
    fn say(&self, error: Option<&RedisError>) {
        let was_well = self.well.swap(error.is_none(), Ordering::Relaxed);
        let address = self.client.get_connection_info().addr();
        match error {
            None if !was_well => {
                tracing::info!("limits of providers are shared through Redis at {address} again");
            }
            Some(error) if was_well => tracing::warn!(
                "limits of providers are not shared through Redis at {address}, each worker counts \
                 by itself until it is back: {error}"
            ),
            _ => {}
        }
    }
}
