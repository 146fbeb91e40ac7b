//! Operators: they cancel some runs, and pause others and resume them.

use std::time::Duration;

use tenure_sdk::{Error, ErrorKind, v1};
use tokio::sync::watch;
use tokio::time::sleep;

use super::sight::{Sight, some_time, until};
use super::{REPEATED, Runs};
use crate::log::Event;
use crate::program::{self, Fate};

/// How long a run may take to get as far as it is steered at, at most.
const LONGEST: Duration = Duration::from_secs(3);
/// The longest rest of a paused run, in milliseconds.
const REST_MILLIS: u64 = 1_000;
/// How often it is looked for a run that rests again.
const AGAIN: Duration = Duration::from_millis(300);

impl Runs {
    /// Does to a run what its fate is.
    pub(super) async fn steer(&self, run: &str, input: u64, sight: &watch::Sender<Sight>) {
        let steered = match program::fate(input) {
            Fate::Left => Ok(()),
            Fate::Paused => self.pause_and_resume(run, sight).await,
            Fate::Cancelled => self.cancel(run, sight).await,
        };
        if let Err(error) = steered {
            self.ledger().problems.push(format!("{run}: {error}"));
        }
    }

    /// Cancels a run when it has got somewhere, such as to its calls.
    async fn cancel(&self, run: &str, sight: &watch::Sender<Sight>) -> Result<(), Error> {
        let entries = fastrand::u64(..8);
        until(sight, LONGEST, |sight| sight.entries >= entries).await;
        some_time(100).await;
        let request = v1::CancelRunRequest {
            tenant: self.client.tenant().to_string(),
            run: run.to_owned(),
            steering: Some(by("too expensive")),
        };
        let cancel = || {
            let (mut runs, request) = (self.client.runs(), request.clone());
            async move { runs.cancel_run(request).await }
        };
        self.client.retry(cancel).await?;
        let cancelled = {
            let mut ledger = self.ledger();
            ledger.cancelled.insert(run.to_owned());
            ledger.cancelled.len()
        };
        if cancelled.is_multiple_of(REPEATED) {
            self.ledger().repeated += 1;
            self.client.retry(cancel).await?;
        }
        Ok(())
    }

    /// Pauses a run, and resumes it when it rests, or before that. As an old request to pause it may
    /// arrive late, it is resumed until it has ended.
    async fn pause_and_resume(&self, run: &str, sight: &watch::Sender<Sight>) -> Result<(), Error> {
        let entries = fastrand::u64(..8);
        until(sight, LONGEST, |sight| sight.entries >= entries || sight.ended).await;
        some_time(100).await;
        if !self.pause(run).await? {
            return Ok(());
        }
        self.ledger().paused += 1;
        if fastrand::u8(..4) > 0 {
            until(sight, LONGEST, |sight| sight.paused || sight.ended).await;
        }
        some_time(REST_MILLIS).await;
        let mut seen = sight.subscribe();
        loop {
            self.resume(run).await?;
            sleep(AGAIN).await;
            let Ok(now) = seen.wait_for(|sight| sight.paused || sight.ended).await else {
                return Ok(());
            };
            if now.ended {
                return Ok(());
            }
        }
    }

    /// Whether it is to rest, and has not ended.
    async fn pause(&self, run: &str) -> Result<bool, Error> {
        let request = v1::PauseRunRequest {
            tenant: self.client.tenant().to_string(),
            run: run.to_owned(),
            steering: Some(by("let us see")),
        };
        let pause = || {
            let (mut runs, request) = (self.client.runs(), request.clone());
            async move { runs.pause_run(request).await }
        };
        unless_late(self.client.retry(pause).await)
    }

    async fn resume(&self, run: &str) -> Result<bool, Error> {
        let resumes = Event::Resumes(run.to_owned());
        self.log.write(resumes).map_err(|error| Error::internal(error.to_string()))?;
        let request = v1::ResumeRunRequest {
            tenant: self.client.tenant().to_string(),
            run: run.to_owned(),
            steering: Some(by("go on")),
        };
        let resume = || {
            let (mut runs, request) = (self.client.runs(), request.clone());
            async move { runs.resume_run(request).await }
        };
        unless_late(self.client.retry(resume).await)
    }
}

fn by(reason: &str) -> v1::Steering {
    v1::Steering { actor: "ann@example.com".into(), reason: reason.into() }
}

/// Whether it was done; not if the run has ended, or is where it was to be.
fn unless_late(done: Result<v1::Run, Error>) -> Result<bool, Error> {
    match done {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WrongState => Ok(false),
        Err(error) => Err(error),
    }
}
