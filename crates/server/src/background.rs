//! Background ticks: every replica runs them for ever, without a leader. Each write of theirs is a
//! compare-and-set on a locked row, so two replicas that see the same row do its work once.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::service::Service;

/// Runs all ticks until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    tokio::join!(expire(&service, &shutdown), service.exchange_hints(&shutdown));
}

async fn expire(service: &Service, shutdown: &CancellationToken) {
    let mut well = true;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(service.tick()) => {}
        }
        let expired = service.expire().await;
        // Said when it begins and when it ends, not at every tick in between.
        match (&expired, well) {
            (Err(error), true) => tracing::error!("expiring leases fails: {error:?}"),
            (Ok(_), false) => tracing::info!("expiring leases works again"),
            (Err(_), false) | (Ok(_), true) => {}
        }
        well = expired.is_ok();
    }
}
