//! The binary `tenure-worker`: configuration, log, signals.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use tenure_worker::{Config, LogFormat};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    // Before anything can make a TLS client: without a provider those panic. It fails only if one
    // is installed already, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    let config = Config::of_process();
    start_log(config.log);
    match tenure_worker::run(config, tenure_sdk::shutdown_signal()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("worker stopped: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The log goes to standard error: standard output belongs to `--announce-steps`.
fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
