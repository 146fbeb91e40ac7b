//! What an operator may set. Every option can also come from the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tenure_core::Name;
use tenure_telemetry::LogFormat;

/// Options of the control plane.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where to listen. Without authentication, which is not built yet, keep it private
    #[arg(long, env = "TENURE_LISTEN", default_value = "127.0.0.1:7700")]
    pub listen: SocketAddr,

    /// `postgres://…`, or `sqlite:PATH` for one control plane on one machine
    #[arg(
        long,
        env = "TENURE_DATABASE_URL",
        default_value = "sqlite:.tenure/tenure.db",
        hide_env_values = true
    )]
    pub database_url: String,

    /// How long to wait at the start for a database that is away, in seconds; 0 for not at all
    #[arg(
        long,
        env = "TENURE_DATABASE_WAIT",
        default_value = "20",
        value_name = "SECONDS",
        value_parser = wait
    )]
    pub database_wait: Duration,

    /// Redis that carries wake-ups between control planes: `redis://…`, `rediss://…` for TLS, or
    /// `unix:///PATH`. Without it, and while it is away, PostgreSQL does
    #[arg(long, env = "TENURE_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,

    /// What the names of channels in that Redis begin with; another one for each installation that
    /// shares it
    #[arg(long, env = "TENURE_REDIS_PREFIX", default_value = "tenure")]
    pub redis_prefix: String,

    /// Tenants to create at the start, unless they exist
    #[arg(long, env = "TENURE_TENANTS", value_delimiter = ',', default_value = "default")]
    pub tenants: Vec<Name>,

    /// How long a lease lasts without a heartbeat, in seconds. Takeover after a crash takes this
    /// long
    #[arg(long, env = "TENURE_LEASE_TTL", default_value = "10", value_parser = lease)]
    pub lease_ttl: Duration,

    /// Sites whose pages may call over HTTP/JSON and gRPC-web, such as `https://app.example.com`
    #[arg(
        long = "cors-origin",
        env = "TENURE_CORS_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGIN",
        value_parser = origin
    )]
    pub cors_origins: Vec<String>,

    /// How log lines look
    #[arg(long, env = "TENURE_LOG", default_value = "text")]
    pub log: LogFormat,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7700)),
            database_url: "sqlite:.tenure/tenure.db".into(),
            database_wait: Duration::from_secs(20),
            redis_url: None,
            redis_prefix: "tenure".into(),
            tenants: "default".parse().into_iter().collect(),
            lease_ttl: tenure_core::limits::LEASE_TTL,
            cors_origins: Vec::new(),
            log: LogFormat::default(),
        }
    }
}

/// At least half a second, so that a heartbeat has time to arrive.
fn lease(text: &str) -> Result<Duration, String> {
    seconds(text, 0.5)
}

fn wait(text: &str) -> Result<Duration, String> {
    seconds(text, 0.0)
}

/// A scheme and a host, as browsers send them. Not `*`: whoever may call must be known.
fn origin(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |host: &str| {
        !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#*@".contains(&byte))
    };
    if host.is_some_and(plain) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("`{text}` is not an origin such as https://app.example.com: no path, no `*`"))
}

/// Seconds, with a fraction, up to a day.
fn seconds(text: &str, least: f64) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a number of seconds from {least} to 86400");
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    if !(least..=86_400.0).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lasts_half_a_second_to_a_day() {
        assert_eq!(lease("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["", "0.4", "-1", "NaN", "inf", "86401", "1s"] {
            assert!(lease(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        assert_eq!(
            origin("https://App.example.com:8443"),
            Ok("https://app.example.com:8443".into())
        );
        for bad in ["*", "app.example.com", "https://", "https://a/", "https://*.a", "file://a"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_has_to_wait_for_the_database() {
        assert_eq!(wait("0"), Ok(Duration::ZERO));
        assert!(wait("-1").is_err());
    }
}
