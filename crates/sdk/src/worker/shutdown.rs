//! When a worker process is told to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by SIGTERM or Ctrl-C. A second signal ends the process at once. Both are
/// caught from the moment that this returns. Needs a tokio runtime.
pub fn shutdown_signal() -> CancellationToken {
    let token = CancellationToken::new();
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            let cancel = token.clone();
            tokio::spawn(async move {
                either(&mut interrupt, &mut terminate).await;
                cancel.cancel();
                either(&mut interrupt, &mut terminate).await;
                // Somebody does not want to wait. 128 + SIGINT, as shells have it.
                std::process::exit(130);
            });
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "signals cannot be caught; they end the process at once");
        }
    }
    token
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
