//! Steps that must not happen twice: what is done when nobody knows whether one has happened.

use std::future::Future;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_core::{
    Decision, EntryStatus, Failure, Key, Opening, Payload, Question, QuestionKind, Usage, limits,
    text,
};
use tenure_replay::{Finished, Wait};

use super::{Attempt, Step, decode};
use crate::interrupt::Answer;
use crate::payload;
use crate::stop::Stop;

/// The code of a failure that leaves open whether the step has happened.
pub const IN_DOUBT: &str = "in_doubt";

/// What is known about a step that was begun and has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciled<T> {
    /// It has happened, and this was its result.
    Happened(T),
    /// It has not: do it.
    DidNot,
    /// Nobody can tell: ask a person.
    Unknown,
}

/// Finds out; a result that cannot be recorded is a failure.
pub(super) type Reconcile<'r> =
    Box<dyn Fn(Attempt) -> BoxFuture<'r, Reconciled<Result<Payload, Failure>>> + Send + Sync + 'r>;

/// How a step in doubt goes on.
enum Settled {
    /// It has this result.
    Ended(EntryStatus),
    /// It is to be executed: it has not happened.
    Execute,
    /// It is to be executed although it may have happened, by somebody's decision.
    Start,
}

impl Step<'_> {
    /// Its effect must not happen twice. It makes one attempt, whatever [`retry`](Step::retry) says,
    /// and is on record before it begins. If its worker is lost before the result is recorded, the
    /// attempt takes longer than its [`timeout`](Step::timeout), or the work itself fails with the
    /// code [`IN_DOUBT`], then it is *in doubt*: [`reconcile`](Step::reconcile) is asked, and if that
    /// does not know, a person, in an interrupt named `doubt:NAME` beside the step. They approve (do
    /// it again), respond (it has happened, and this is its result) or reject (it fails with the code
    /// `in_doubt`). It is never executed again without one of these answers.
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// Finds out whether the step has happened if that is in doubt, best by the idempotency key that
    /// the attempt was given. May be asked several times.
    pub fn reconcile<'f, T, F, Fut>(self, find_out: F) -> Step<'f>
    where
        T: Serialize,
        F: Fn(Attempt) -> Fut + Send + Sync + 'f,
        Fut: Future<Output = Reconciled<T>> + Send + 'f,
    {
        let what = format!("the result of step `{}`", self.name);
        let encode = move |found| match found {
            Reconciled::Happened(value) => {
                Reconciled::Happened(payload::encode("invalid_result", &what, &value))
            }
            Reconciled::DidNot => Reconciled::DidNot,
            Reconciled::Unknown => Reconciled::Unknown,
        };
        let reconcile: Reconcile<'f> = Box::new(move |attempt| {
            let encode = encode.clone();
            find_out(attempt).map(encode).boxed()
        });
        let Self { context, name, kind, input, retry, timeout, once, problem, .. } = self;
        let reconcile = Some(reconcile);
        Step { context, name, kind, input, retry, timeout, once, reconcile, problem }
    }

    /// Executes it, or settles a doubt about it, until it has a result.
    pub(super) async fn run_once<T, F, Fut>(
        &self,
        key: &Key,
        in_doubt: bool,
        work: &F,
    ) -> Result<T, Stop>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<(T, Option<Usage>), Failure>>,
    {
        let leased = self.context.leased();
        let _in_flight = leased.in_flight(key);
        let mut next = if in_doubt { self.settle(key).await? } else { Settled::Start };
        loop {
            if let Settled::Ended(status) = next {
                self.close(key, status.clone()).await?;
                return decode(&self.name, status);
            }
            let executing = leased.enter(key).await;
            if let Settled::Start = next {
                let started = leased.engine().start(key)?;
                leased.append(started).await?;
                // That may have taken long: whoever has the run by now would find it in doubt.
                leased.still_held().await;
            }
            let attempted = self.attempt(key, 1, work).await;
            if !attempted.failed_as(IN_DOUBT) {
                executing.executed();
                let (value, finished) = attempted.finished();
                let record = leased.engine().finish(key, finished)?;
                leased.append(record).await?;
                executing.recorded();
                return value.map_err(Stop::Failed);
            }
            drop(executing);
            next = self.settle(key).await?;
        }
    }

    /// Asks whoever may know: the step's own way to find out, or else a person. Who was asked is
    /// waited for, also by a later worker.
    async fn settle(&self, key: &Key) -> Result<Settled, Stop> {
        let leased = self.context.leased();
        let wait = leased.engine().doubt(key)?;
        let _asking = match &wait {
            Wait::Begin(doubt) => {
                let asking = leased.in_flight(doubt);
                if let Some(settled) = self.find_out(key).await? {
                    return Ok(settled);
                }
                Some(asking)
            }
            _ => None,
        };
        let opening = || Opening::Interrupt(Box::new(self.question()));
        let status = self.context.outcome(wait, opening, None).await?;
        let answer: Answer = Answer::read(&format!("the doubt about `{}`", self.name), status)?;
        Ok(match answer.decision {
            Decision::Approve | Decision::Edit => Settled::Start,
            Decision::Respond => {
                let value = answer.value.unwrap_or_default();
                let what = format!("the result of step `{}`", self.name);
                let result = payload::encode("invalid_result", what, &value);
                Settled::Ended(status_of(result))
            }
            Decision::Reject => Settled::Ended(EntryStatus::Failed(rejected(&answer))),
        })
    }

    /// What the code of the step knows, if it knows.
    async fn find_out(&self, key: &Key) -> Result<Option<Settled>, Stop> {
        let leased = self.context.leased();
        let Some(reconcile) = &self.reconcile else { return Ok(None) };
        let executing = leased.enter(key).await;
        let found = reconcile(self.told(key, 1)).await;
        drop(executing);
        Ok(match found {
            Reconciled::Happened(result) => Some(Settled::Ended(status_of(result))),
            Reconciled::DidNot => {
                leased.engine().go_on(key);
                Some(Settled::Execute)
            }
            Reconciled::Unknown => None,
        })
    }

    /// Records what is known now.
    async fn close(&self, key: &Key, status: EntryStatus) -> Result<(), Stop> {
        let leased = self.context.leased();
        let finished = Finished { status, attempt: 1, duration: Duration::ZERO, usage: None };
        let record = leased.engine().finish(key, finished)?;
        leased.append(record).await
    }

    fn question(&self) -> Question {
        let mut title = format!("`{}` was begun and may have happened: do it (again)?", self.name);
        text::clean(&mut title, limits::TITLE);
        let input = self.input.clone().filter(|input| input.len() <= limits::PAYLOAD);
        Question {
            kind: QuestionKind::Approval,
            title,
            payload: input.map(Payload::json).unwrap_or_default(),
            decisions: vec![Decision::Approve, Decision::Respond, Decision::Reject],
            ..Question::default()
        }
    }
}

fn status_of(result: Result<Payload, Failure>) -> EntryStatus {
    match result {
        Ok(payload) => EntryStatus::Succeeded(payload),
        Err(failure) => EntryStatus::Failed(failure.cleaned()),
    }
}

fn rejected(answer: &Answer) -> Failure {
    let why = match &*answer.reason {
        "" => "it may have happened, and somebody decided not to do it again",
        reason => reason,
    };
    Failure::permanent(IN_DOUBT, why).cleaned()
}
