//! What the watch of a run has shown, for those who do something to it meanwhile.

use std::time::Duration;

use tenure_sdk::v1;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// What was seen of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// How many entries it has.
    pub(super) entries: u64,
    /// The keys of its questions.
    pub(super) asked: Vec<String>,
    /// It is paused.
    pub(super) paused: bool,
    pub(super) ended: bool,
}

impl Sight {
    /// An entry was shown.
    pub(super) fn see(&mut self, entry: &v1::Entry) {
        use v1::{opening::Opening, record::Status};
        self.entries = entry.seq;
        let Some(record) = &entry.record else { return };
        if let Some(Status::Opened(opening)) = &record.status
            && let Some(Opening::Interrupt(_)) = opening.opening
        {
            self.asked.push(record.key.clone());
        }
    }
}

/// Waits for some time, or until this is seen.
pub(super) async fn until(
    sight: &watch::Sender<Sight>,
    longest: Duration,
    seen: impl FnMut(&Sight) -> bool,
) {
    // Too late or not: it goes on.
    let _ = timeout(longest, sight.subscribe().wait_for(seen)).await;
}

/// Waits for so many milliseconds at most, by chance.
pub(super) async fn some_time(millis: u64) {
    sleep(Duration::from_millis(fastrand::u64(..millis))).await;
}
