//! The binary `tenure-worker`: configuration, log, signals.

use std::process::ExitCode;

use tenure_worker::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before there is a second thread: a process of several cannot enter namespaces.
    match tenure_worker::enter_sandbox() {
        Some(status) => status,
        None => work(),
    }
}

#[tokio::main]
async fn work() -> ExitCode {
    // Before anything can make a TLS client: without a provider those panic. It fails only if one
    // is installed already, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    let config = Config::of_process();
    // On standard error: standard output belongs to `--announce-steps`.
    tenure_telemetry::start("info", config.log);
    match tenure_worker::execute(config, tenure_sdk::shutdown_signal()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!("worker stopped: {error:#}");
            ExitCode::FAILURE
        }
    }
}
