//! `tenure-control-plane`: the control plane as a process of its own.

use clap::Parser;
use tenure_control_plane::{Config, serve};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps tenants, agents, versions and runs, and hands runs to workers
#[derive(Parser)]
#[command(version, name = "tenure-control-plane")]
struct Options {
    #[command(flatten)]
    config: Config,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Options { config } = Options::parse();
    tenure_telemetry::start("info", config.log);
    let shutdown = CancellationToken::new();
    let (stop, mut terminate) = (shutdown.clone(), signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    serve(config, |address| tracing::info!("listening on {address}"), shutdown).await
}
