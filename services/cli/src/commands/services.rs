//! `tenure worker` and `tenure control-plane`: the services, so that one binary is enough.

use std::io::Read as _;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::Worker;
use crate::problem::Problem;
use crate::ui::note;

/// What is logged unless `RUST_LOG` says otherwise.
const LOG: &str = "info";
/// How long a worker whose parent has gone may take to give its runs back: most likely the control
/// plane has gone too, and there is nobody to give them to.
const ORPHAN_GRACE: Duration = Duration::from_secs(5);

pub(crate) async fn worker(command: Worker) -> Result<(), Problem> {
    let config = command.config.with_keys();
    tenure_telemetry::start(LOG, config.log);
    let shutdown = tenure_sdk::shutdown_signal();
    if command.exit_with_parent {
        exit_with_parent(shutdown.clone());
    }
    if tenure_worker::execute(config, shutdown).await? {
        return Ok(());
    }
    Err(Problem::new("a backend is down"))
}

pub(crate) async fn control_plane(config: tenure_control_plane::Config) -> Result<(), Problem> {
    tenure_telemetry::start(LOG, config.log);
    let shutdown = tenure_sdk::shutdown_signal();
    let ready = |address| note(format!("listening on {address}"));
    Ok(tenure_control_plane::serve(config, ready, shutdown).await?)
}

/// Ends this process when its standard input ends, which the operating system sees to however the
/// parent died.
fn exit_with_parent(shutdown: CancellationToken) {
    // A thread, because a blocked read in the runtime's pool would keep the runtime from ending.
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while matches!(std::io::stdin().lock().read(&mut ignored), Ok(1..)) {}
        shutdown.cancel();
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        let _ = never.recv_timeout(ORPHAN_GRACE);
        std::process::exit(1);
    });
}
