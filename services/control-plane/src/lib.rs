//! The control-plane service: configuration and wiring. The use cases are in `tenure_server`.

mod config;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
pub use config::Config;
use tenure_server::carrier::{Carrier, Database, Fallback, Redis};
use tenure_server::{Service, Settings, SystemEntropy};
use tenure_store::{Store, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The longest pause between two attempts to reach the database at the start.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs a control plane until `shutdown`; `ready` is told the address as soon as it listens.
pub async fn serve(
    config: Config,
    ready: impl FnOnce(SocketAddr) + Send,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    // Several TLS back ends may be linked; this one is ours. A second call finds it in place.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let redis = redis(&config)?;
    let Some(store) = open(&config, &shutdown).await? else { return Ok(()) };
    let settings = Settings {
        lease_ttl: config.lease_ttl,
        offer_ttl: config.lease_ttl.min(Settings::default().offer_ttl),
        cors_origins: config.cors_origins,
        ..Settings::default()
    };
    let carrier = carrier(redis, store.clone());
    let service = Service::with_carrier(store, Arc::new(SystemEntropy), settings, carrier);
    for tenant in config.tenants {
        service.ensure_tenant(tenant).await.context("could not create the tenants")?;
    }
    let listener = tenure_server::bind(config.listen).await?;
    ready(listener.local_addr()?);
    tenure_server::serve(service, listener, shutdown).await.context("serving ended")
}

/// The Redis of the configuration, which need not be there yet.
fn redis(config: &Config) -> anyhow::Result<Option<Redis>> {
    let Some(url) = &config.redis_url else { return Ok(None) };
    let redis = Redis::new(url, &config.redis_prefix, Arc::new(SystemEntropy));
    redis.map(Some).context("could not use --redis-url")
}

fn carrier(redis: Option<Redis>, store: Arc<dyn Store>) -> Arc<dyn Carrier> {
    let database = Database::new(store);
    match redis {
        Some(redis) => Arc::new(Fallback::new(redis, database)),
        None => Arc::new(database),
    }
}

/// Opens the store, trying again while the database is away; `None` if told to stop meanwhile.
async fn open(
    config: &Config,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Arc<dyn Store>>> {
    let deadline = Instant::now() + config.database_wait;
    loop {
        let error = match tenure_store::open(&config.database_url).await {
            Ok(store) => return Ok(Some(store)),
            Err(error) => error,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || !matches!(error, StoreError::Unavailable(_)) {
            return Err(error).context(
                "could not open the database; check --database-url and that it is running",
            );
        }
        tracing::warn!("{error}; trying again for {} s", left.as_secs_f32().ceil());
        tokio::select! {
            () = tokio::time::sleep(PAUSE.min(left)) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
    }
}
