//! Background ticks: every replica runs them for ever, without a leader. Each write of theirs is a
//! compare-and-set on a locked row, so two replicas that see the same row do its work once.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::service::Service;

/// Runs all ticks until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    tokio::join!(
        tick(&service, &shutdown, "expiring leases", |service| service.expire().boxed()),
        tick(&service, &shutdown, "timing out interrupts", |service| service.time_out().boxed()),
        deliver(&service, &shutdown),
        service.exchange_hints(&shutdown),
        service.exchange_events(&shutdown),
    );
}

/// How many times as long as a sweep took it rests, if it found nothing: beside a transaction that
/// somebody left open it reads every row that was dead since, and must not take the processor for that.
const REST: u32 = 20;
/// How long it rests at most: a lease that has expired is not to be found much later than that.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Does something at every tick.
async fn tick(
    service: &Service,
    shutdown: &CancellationToken,
    what: &str,
    work: fn(&Service) -> BoxFuture<'_, tenure_core::Result<usize>>,
) {
    let (mut log, mut took) = (Log { what, well: true }, Duration::ZERO);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(service.tick().max((took * REST).min(LONGEST_REST))) => {}
        }
        let began = Instant::now();
        let done = work(service).await;
        log.note(&done);
        // Where there was something to do, there may be more.
        took = if matches!(done, Ok(0)) { began.elapsed() } else { Duration::ZERO };
    }
}

/// Delivers messages as they are posted here, and at every tick what others left behind.
async fn deliver(service: &Service, shutdown: &CancellationToken) {
    let mut log = Log { what: "delivering messages between runs", well: true };
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = service.wake().posted.notified() => {}
            () = tokio::time::sleep(service.tick()) => {}
        }
        let delivered = service.deliver().await;
        log.note(&delivered);
        if delivered.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Says when something begins and when it ends to fail, not at every tick in between.
struct Log<'a> {
    what: &'a str,
    well: bool,
}

impl Log<'_> {
    fn note(&mut self, done: &tenure_core::Result<usize>) {
        match (done, self.well) {
            (Err(error), true) => tracing::error!("{} fails: {error:?}", self.what),
            (Ok(_), false) => tracing::info!("{} works again", self.what),
            (Err(_), false) | (Ok(_), true) => {}
        }
        self.well = done.is_ok();
    }
}
