//! A step: work whose result is recorded once.

mod attempt;
mod meter;
mod once;
pub(crate) mod publisher;
mod retry;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_core::{Digest, EntryKind, EntryStatus, Failure, Key, Usage};
use tenure_replay::{Answer, Command};

use crate::context::Context;
use crate::payload;
use crate::stop::Stop;

use attempt::Tried;
pub use attempt::{Attempt, TIMEOUT};
pub use meter::ALLOWANCE_SPENT;
use once::Reconcile;
pub use once::{IN_DOUBT, Reconciled};
pub use publisher::Publisher;
pub use retry::Retry;

/// A step that is being described; [`run`](Step::run) makes it happen.
///
/// A step is executed at least once: if its worker is lost before the result is recorded, another
/// one executes it again. Where that does harm, say [`once`](Step::once).
#[must_use = "a step does nothing until it is run"]
pub struct Step<'r> {
    context: Context,
    name: String,
    kind: EntryKind,
    /// What it is given, as JSON.
    input: Option<Bytes>,
    retry: Retry,
    timeout: Option<Duration>,
    once: bool,
    reconcile: Option<Reconcile<'r>>,
    problem: Option<Failure>,
}

impl Step<'_> {
    pub(crate) fn new(context: Context, name: &str) -> Self {
        Self {
            context,
            name: name.to_owned(),
            kind: EntryKind::Step,
            input: None,
            retry: Retry::default(),
            timeout: None,
            once: false,
            reconcile: None,
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
            Ok(json) => self.input = Some(json.into()),
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

    /// How long each attempt may take. One that takes longer is dropped where it is, and fails with
    /// the code [`TIMEOUT`], which may be tried again; what must happen [once](Step::once) is in
    /// doubt then.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
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
        match self.ask()? {
            Answer::Recorded(status) => decode(&self.name, status),
            Answer::Elsewhere(seq) => decode(&self.name, self.context.leased().result(seq).await?),
            Answer::Mismatch(mismatch) => Err(Stop::Blocked((*mismatch).into())),
            Answer::Execute(key) if self.once => self.run_once(&key, false, &work).await,
            Answer::InDoubt(key) => self.run_once(&key, true, &work).await,
            Answer::Execute(key) => self.tries(&key, 1, &work).await,
            Answer::Again(key, again) => {
                let leased = self.context.leased();
                let _in_flight = leased.in_flight(&key);
                leased.rest(&key, again.pause.saturating_sub(leased.age(again.since))).await;
                self.tries(&key, again.attempt, &work).await
            }
        }
    }

    fn ask(&self) -> Result<Answer, Stop> {
        let command = Command {
            scope: self.context.place(),
            name: &self.name,
            kind: self.kind,
            input: self.input.as_ref().map(Digest::of),
        };
        let mut engine = self.context.leased().engine();
        Ok(if self.once { engine.step_once(&command)? } else { engine.step(&command)? })
    }

    /// Tries until it succeeds or may not try any more, and records how it ended.
    async fn tries<T, F, Fut>(&self, key: &Key, first: u32, work: &F) -> Result<T, Stop>
    where
        T: Serialize,
        F: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<(T, Option<Usage>), Failure>>,
    {
        let leased = self.context.leased();
        let _in_flight = leased.in_flight(key);
        let mut number = first;
        loop {
            let executing = leased.enter(key).await;
            let tried = self.series(key, number, work).await;
            executing.executed();
            match tried {
                Tried::Ended(attempted) => {
                    let (value, finished) = attempted.finished();
                    let record = leased.engine().finish(key, finished)?;
                    leased.append(record).await?;
                    executing.recorded();
                    return value.map_err(Stop::Failed);
                }
                Tried::Later(attempted, pause) => {
                    number = attempted.number.saturating_add(1);
                    let (_, finished) = attempted.finished();
                    let records = leased.engine().again(key, finished, pause)?;
                    leased.append_all(records.into()).await?;
                    executing.recorded();
                    leased.rest(key, pause).await;
                }
            }
        }
    }
}

/// A recorded result. One that the code cannot read any more blocks the run: the type changed.
pub(crate) fn decode<T: DeserializeOwned>(name: &str, status: EntryStatus) -> Result<T, Stop> {
    match status {
        EntryStatus::Succeeded(payload) => payload::decode(&payload).map_err(|error| {
            let message = format!("the recorded result of step `{name}` no longer fits: {error}");
            Stop::Blocked(Failure::permanent("mismatch", message))
        }),
        EntryStatus::Failed(failure) => Err(Stop::Failed(failure)),
        EntryStatus::Opened(_) | EntryStatus::Steered(_) => {
            Err(Stop::failed("internal", format!("step `{name}` was answered without a result")))
        }
    }
}
