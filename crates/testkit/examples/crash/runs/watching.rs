//! Watches: every run is watched to its end, through as many control planes as that takes.

use std::time::Duration;

use tenure_sdk::{Error, v1};
use tokio::sync::watch;
use tokio::time::sleep;
use v1::watch_run_response::Event;

use super::Runs;
use super::sight::Sight;
use crate::log;

/// The pause before a watch that broke is begun again.
const AGAIN: Duration = Duration::from_millis(100);

impl Runs {
    /// Watches a run until it has ended, through as many control planes as that takes.
    pub(super) async fn follow(&self, run: &str, sight: &watch::Sender<Sight>) {
        let mut after_seq = 0;
        while !self.watch(run, &mut after_seq, sight).await {
            sleep(AGAIN).await;
        }
    }

    /// Notes whether the run is paused, and in the log that it is from now on.
    fn rests(&self, now: &v1::Run, sight: &watch::Sender<Sight>) {
        let paused = now.wait_reason() == v1::WaitReason::Paused;
        if paused && !sight.borrow().paused {
            let rests = log::Event::Rests(now.id.clone(), now.epoch);
            self.log.write(rests).expect("the log can be written");
        }
        sight.send_modify(|sight| sight.paused = paused);
    }

    /// Watches until the run has ended or the connection has; whether it was the run.
    async fn watch(&self, run: &str, after_seq: &mut u64, sight: &watch::Sender<Sight>) -> bool {
        let request = v1::WatchRunRequest {
            tenant: self.client.tenant().to_string(),
            run: run.into(),
            after_seq: *after_seq,
            stream: false,
        };
        let Ok(events) = self.client.runs().watch_run(request).await else { return false };
        let mut events = events.into_inner();
        while let Ok(Some(response)) = events.message().await {
            match response.event {
                Some(Event::Entry(entry)) => {
                    self.ledger().watch(run, *after_seq + 1, entry.seq);
                    *after_seq = entry.seq;
                    self.memory.see(run, &entry);
                    sight.send_modify(|sight| sight.see(&entry));
                }
                Some(Event::Run(now)) => {
                    let ended = self.memory.see_run(&now);
                    if ended {
                        self.ledger().watch(run, now.entries, *after_seq);
                    }
                    self.rests(&now, sight);
                    sight.send_modify(|sight| sight.ended = ended);
                    if ended {
                        return true;
                    }
                }
                Some(Event::Published(_) | Event::Missed(_)) | None => {}
            }
        }
        false
    }

    /// The runs that the control planes know, without their input and output; all, or those that have
    /// not ended.
    pub(crate) async fn list(&self, open: bool) -> Result<Vec<v1::Run>, Error> {
        use v1::RunState::{Queued, Running, Waiting};
        let states =
            if open { vec![Queued.into(), Running.into(), Waiting.into()] } else { vec![] };
        let tenant = self.client.tenant().to_string();
        let mut request = v1::ListRunsRequest { tenant, states, ..Default::default() };
        let mut all = Vec::new();
        loop {
            let list = || {
                let (mut runs, request) = (self.client.runs(), request.clone());
                async move { runs.list_runs(request).await }
            };
            let page = self.client.retry(list).await?;
            all.extend(page.runs);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Returns when none is open: those that others have called end by themselves, or because their
    /// caller has.
    pub(crate) async fn all_ended(&self) -> Result<(), Error> {
        while !self.list(true).await?.is_empty() {
            sleep(AGAIN).await;
        }
        Ok(())
    }
}
