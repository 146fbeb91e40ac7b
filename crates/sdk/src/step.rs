//! A step: work whose result is recorded once.

use std::future::Future;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_core::{Digest, EntryKind, EntryStatus, Failure, Key, Payload, Usage};
use tenure_replay::{Answer, Command, Finished};

use crate::client::jittered;
use crate::context::Context;
use crate::stop::Stop;

/// How often a step may try before its failure is recorded. Only failures that say they are
/// retryable are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
}

impl Default for Retry {
    /// Three attempts, pausing a second and then two.
    fn default() -> Self {
        Self { attempts: 3, backoff: Duration::from_secs(1), max_backoff: Duration::from_mins(1) }
    }
}

impl Retry {
    /// One attempt.
    pub const NONE: Self =
        Self { attempts: 1, backoff: Duration::ZERO, max_backoff: Duration::ZERO };

    fn pause(&self, attempt: u32) -> Duration {
        let doubled = self.backoff.saturating_mul(1 << (attempt - 1).min(30));
        jittered(doubled.min(self.max_backoff))
    }
}

/// What a step's work is told.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Which attempt this is, counted from 1. After a crash it counts from 1 again.
    pub number: u32,
    /// The same for every attempt of this step of this run, before and after a crash: hand it to
    /// whoever can recognise a repetition by it.
    pub idempotency_key: String,
}

/// A step that is being described; [`run`](Step::run) makes it happen.
#[must_use = "a step does nothing until it is run"]
pub struct Step {
    context: Context,
    name: String,
    kind: EntryKind,
    input: Option<Digest>,
    retry: Retry,
    problem: Option<Failure>,
}

impl Step {
    pub(crate) fn new(context: Context, name: &str) -> Self {
        Self {
            context,
            name: name.to_owned(),
            kind: EntryKind::Step,
            input: None,
            retry: Retry::default(),
            problem: None,
        }
    }

    /// What kind of work it is; a function of the user's unless said otherwise.
    pub fn kind(self, kind: EntryKind) -> Self {
        Self { kind, ..self }
    }

    /// What it is given. Recorded as a fingerprint: a replay that comes with another input blocks
    /// the run instead of handing it a result that was made for something else.
    pub fn input<I: Serialize>(mut self, input: &I) -> Self {
        match serde_json::to_vec(input) {
            Ok(bytes) => self.input = Some(Digest::of(bytes)),
            Err(error) => {
                let message = format!("the input of step `{}` is not JSON: {error}", self.name);
                self.problem = Some(Failure::permanent("invalid_input", message));
            }
        }
        self
    }

    /// How often it may try.
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// Answers from the journal, or does the work and records its result, which is visible to the
    /// code only then. A failure that no attempt mended is recorded too, and answered as
    /// [`Stop::Failed`].
    pub async fn run<T, F, Fut>(self, work: F) -> Result<T, Stop>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let work = |attempt| {
            let done = work(attempt);
            async move { done.await.map(|value| (value, None)) }
        };
        self.record(work).await
    }

    /// Like [`run`](Step::run), for work that says what it consumed.
    pub async fn run_metered<T, F, Fut>(self, work: F) -> Result<T, Stop>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<(T, Usage), Failure>>,
    {
        let work = |attempt| {
            let done = work(attempt);
            async move { done.await.map(|(value, usage)| (value, Some(usage))) }
        };
        self.record(work).await
    }

    async fn record<T, F, Fut>(self, work: F) -> Result<T, Stop>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<(T, Option<Usage>), Failure>>,
    {
        if let Some(problem) = self.problem {
            return Err(Stop::Failed(problem));
        }
        let command = Command {
            scope: self.context.place(),
            name: &self.name,
            kind: self.kind,
            input: self.input,
        };
        let leased = self.context.leased();
        let answer = leased.engine().step(&command)?;
        match answer {
            Answer::Recorded(status) => decode(&self.name, status),
            Answer::Mismatch(mismatch) => Err(Stop::Blocked((*mismatch).into())),
            Answer::Execute(key) => {
                let _in_flight = leased.in_flight(&key);
                let executing = leased.enter(&key).await;
                let (value, finished) = self.attempts(&key, work).await;
                let record = leased.engine().finish(&key, finished)?;
                leased.append(record).await?;
                executing.recorded();
                value.map_err(Stop::Failed)
            }
            Answer::Arrived(_) | Answer::Suspend(_) => {
                Err(Stop::failed("internal", "a step was answered as a wait"))
            }
        }
    }

    /// Tries until it succeeds or may not try any more.
    async fn attempts<T, F, Fut>(&self, key: &Key, work: F) -> (Result<T, Failure>, Finished)
    where
        T: Serialize,
        F: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<(T, Option<Usage>), Failure>>,
    {
        let idempotency_key = format!("{}/{key}", self.context.run());
        let mut number = 1;
        loop {
            let start = Instant::now();
            let attempt = Attempt { number, idempotency_key: idempotency_key.clone() };
            let result = work(attempt).await.and_then(|(value, usage)| {
                let payload = encode(&self.name, &value)?;
                Ok((value, usage, payload))
            });
            let duration = start.elapsed();
            let finished = |status, usage| Finished { status, attempt: number, duration, usage };
            match result {
                Ok((value, usage, payload)) => {
                    return (Ok(value), finished(EntryStatus::Succeeded(payload), usage));
                }
                Err(failure) if failure.retryable && number < self.retry.attempts => {
                    let (run, code) = (self.context.run(), &failure.code);
                    tracing::warn!(%run, %key, number, code, "attempt failed: {}", failure.message);
                    tokio::time::sleep(self.retry.pause(number)).await;
                    number += 1;
                }
                Err(failure) => {
                    let failure = failure.cleaned();
                    return (Err(failure.clone()), finished(EntryStatus::Failed(failure), None));
                }
            }
        }
    }
}

/// The payload of a result, if it can be recorded.
fn encode<T: Serialize>(name: &str, value: &T) -> Result<Payload, Failure> {
    let unfit = |why: String| Failure::permanent("invalid_result", why);
    let bytes = serde_json::to_vec(value)
        .map_err(|error| unfit(format!("the result of step `{name}` is not JSON: {error}")))?;
    let payload = Payload::json(bytes).checked(format!("the result of step `{name}`"));
    payload.map_err(|error| unfit(error.to_string()))
}

/// A recorded result. One that the code cannot read any more blocks the run: the type changed.
pub(crate) fn decode<T: DeserializeOwned>(name: &str, status: EntryStatus) -> Result<T, Stop> {
    match status {
        EntryStatus::Failed(failure) => Err(Stop::Failed(failure)),
        EntryStatus::Succeeded(payload) => serde_json::from_slice(&payload.data).map_err(|error| {
            let message = format!("the recorded result of step `{name}` no longer fits: {error}");
            Stop::Blocked(Failure::permanent("mismatch", message))
        }),
    }
}
