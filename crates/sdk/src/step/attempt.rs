//! Attempts of a step: what one is told, and what it comes to.

use std::future::Future;
use std::time::{Duration, Instant};

use serde::Serialize;
use tenure_core::{EntryStatus, Failure, Key, Payload, Usage};
use tenure_replay::Finished;

use super::meter::Meter;
use super::{IN_DOUBT, Publisher, Step};
use crate::{entropy, payload};

/// The code of the failure of an attempt that took too long.
pub const TIMEOUT: &str = "timeout";
/// A pause between two attempts that is longer than this is recorded, so that the run can be parked
/// meanwhile.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// What a step's work is told.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Which attempt this is, counted from 1. After a crash it counts from 1 again, unless a pause of
    /// more than five seconds was recorded.
    pub number: u32,
    /// The same for every attempt of this step of this run, before and after a crash: hand it to
    /// whoever can recognise a repetition by it.
    pub idempotency_key: String,
    /// Tells those who follow the run what this attempt comes to meanwhile.
    pub publisher: Publisher,
    pub(super) meter: Meter,
}

/// An attempt that has ended.
pub(super) struct Attempted<T> {
    pub(super) number: u32,
    result: Result<(T, Payload, Option<Usage>), Failure>,
    duration: Duration,
}

/// What a step comes to without a long pause.
pub(super) enum Tried<T> {
    /// It is over.
    Ended(Attempted<T>),
    /// It goes on after this pause.
    Later(Attempted<T>, Duration),
}

impl Step<'_> {
    /// Tries as long as only short pauses are in between.
    pub(super) async fn series<T, F, Fut>(&self, key: &Key, first: u32, work: &F) -> Tried<T>
    where
        T: Serialize,
        F: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<(T, Option<Usage>), Failure>>,
    {
        let mut number = first;
        loop {
            let attempted = self.attempt(key, number, work).await;
            let Some(pause) = self.pause(&attempted) else { return Tried::Ended(attempted) };
            if let Err(Failure { code, message, .. }) = &attempted.result {
                let run = self.context.run();
                tracing::warn!(%run, %key, number, code, ?pause, "attempt failed: {message}");
            }
            if pause > LONG_PAUSE {
                return Tried::Later(attempted, pause);
            }
            tokio::time::sleep(pause).await;
            number = number.saturating_add(1);
        }
    }

    /// The pause before the next attempt, if there is one.
    fn pause<T>(&self, attempted: &Attempted<T>) -> Option<Duration> {
        let Attempted { number, result: Err(failure), .. } = attempted else { return None };
        let again = self.retry.allows(*number, failure);
        again.then(|| self.retry.pause(*number, failure, entropy::chance()))
    }

    pub(super) async fn attempt<T, F, Fut>(&self, key: &Key, number: u32, work: &F) -> Attempted<T>
    where
        T: Serialize,
        F: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<(T, Option<Usage>), Failure>>,
    {
        let start = Instant::now();
        let work = work(self.told(key, number));
        let done = match self.timeout {
            None => work.await,
            Some(timeout) => match tokio::time::timeout(timeout, work).await {
                Ok(done) => done,
                Err(_) => Err(self.too_long(timeout)),
            },
        };
        let result = done.and_then(|(value, usage)| {
            let what = format_args!("the result of step `{}`", self.name);
            let payload = payload::encode("invalid_result", what, &value)?;
            Ok((value, payload, usage))
        });
        Attempted { number, result, duration: start.elapsed() }
    }

    pub(super) fn told(&self, key: &Key, number: u32) -> Attempt {
        Attempt {
            number,
            idempotency_key: format!("{}/{key}", self.context.run()),
            publisher: Publisher::new(self.context.leased().speaker(), key, number),
            meter: Meter { context: self.context.clone(), key: key.clone() },
        }
    }

    fn too_long(&self, timeout: Duration) -> Failure {
        let message = format!("step `{}` took longer than {timeout:?}", self.name);
        if self.once {
            return Failure::permanent(IN_DOUBT, message);
        }
        Failure::retryable(TIMEOUT, message)
    }
}

impl<T> Attempted<T> {
    pub(super) fn failed_as(&self, code: &str) -> bool {
        matches!(&self.result, Err(failure) if failure.code == code)
    }

    /// What the code gets of it, and what the journal does.
    pub(super) fn finished(self) -> (Result<T, Failure>, Finished) {
        let Self { number: attempt, result, duration } = self;
        let (value, status, usage) = match result {
            Ok((value, payload, usage)) => (Ok(value), EntryStatus::Succeeded(payload), usage),
            Err(failure) => {
                let failure = failure.cleaned();
                (Err(failure.clone()), EntryStatus::Failed(failure), None)
            }
        };
        (value, Finished { status, attempt, duration, usage })
    }
}
