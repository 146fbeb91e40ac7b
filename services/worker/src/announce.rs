//! Telling standard output what is executed, and stopping at a chosen step.

use std::future;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tenure_sdk::{Key, Observer, RunId};
use tokio::sync::watch;

/// Sees each step that is really executed; replayed ones are not.
pub(crate) struct Announcer {
    announce: bool,
    /// How many steps may be executed at all.
    hold_after: Option<usize>,
    begun: AtomicUsize,
    recorded: watch::Sender<usize>,
}

impl Announcer {
    pub(crate) fn new(announce: bool, hold_after: Option<usize>) -> Self {
        let (recorded, _) = watch::channel(0);
        Self { announce, hold_after, begun: AtomicUsize::new(0), recorded }
    }

    /// Waits for ever. Once the steps before it are recorded there is nothing in flight: whoever
    /// reads the line may kill the process, and no step will be executed twice.
    async fn hold(&self, steps: usize, first: bool) {
        let recorded = |recorded: &usize| *recorded >= steps;
        let waited = self.recorded.subscribe().wait_for(recorded).await.is_ok();
        if waited && first {
            self.say(&format!("holding after {steps} steps"));
        }
        future::pending::<()>().await;
    }

    fn say(&self, line: &str) {
        if self.announce {
            // Nobody may be reading any more; that is no reason to stop working.
            let _ = writeln!(io::stdout().lock(), "{line}");
        }
    }
}

#[async_trait]
impl Observer for Announcer {
    async fn before_step(&self, run: RunId, key: &Key, epoch: u64) {
        let before = self.begun.fetch_add(1, Ordering::Relaxed);
        if let Some(steps) = self.hold_after.filter(|steps| before >= *steps) {
            self.hold(steps, before == steps).await;
        }
        self.say(&format!("executing {run} {key} epoch={epoch}"));
    }

    fn after_step(&self, _run: RunId, _key: &Key, _epoch: u64) {
        self.recorded.send_modify(|recorded| *recorded += 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn step() -> (RunId, Key) {
        let run = "run_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        (run, "plan".parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn the_step_after_the_last_waits_for_ever() {
        let announcer = Announcer::new(false, Some(2));
        let (run, key) = step();
        for _ in 0..2 {
            announcer.before_step(run, &key, 1).await;
            announcer.after_step(run, &key, 1);
        }
        let third = announcer.before_step(run, &key, 1);
        assert!(tokio::time::timeout(Duration::from_hours(1), third).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_number_nothing_waits() {
        let announcer = Announcer::new(false, None);
        let (run, key) = step();
        for _ in 0..100 {
            announcer.before_step(run, &key, 1).await;
            announcer.after_step(run, &key, 1);
        }
    }
}
