//! Interrupts: a person or system is asked, and the run waits, parked, for the answer.

mod answer;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tenure_core::{
    Decision, Digest, EntryKind, EntryStatus, Failure, Opening, Question, QuestionKind, limits,
    text,
};
use tenure_replay::Command;

use crate::context::Context;
use crate::payload;
use crate::stop::Stop;

pub(crate) use answer::ended;
use answer::unfit;
pub use answer::{Answer, Approval};

/// A question that is being described; [`ask`](Interrupt::ask) asks it.
///
/// It is asked once, whatever happens to the worker, and has one answer. Whoever may answer finds it
/// in the inbox of the tenant. While nothing else is in flight the run is parked and costs nothing.
#[must_use = "nobody is asked until `ask`"]
pub struct Interrupt {
    context: Context,
    name: String,
    question: Question,
    problem: Option<Failure>,
}

impl Interrupt {
    pub(crate) fn new(context: Context, name: &str) -> Self {
        let question = Question { title: name.to_owned(), ..Question::default() };
        Self { context, name: name.to_owned(), question, problem: None }
    }

    /// What kind of question it is; an approval unless said otherwise.
    pub fn kind(self, kind: QuestionKind) -> Self {
        self.asking(|question| question.kind = kind)
    }

    /// One line for the inbox, cut at 512 bytes; the name unless said otherwise. It may be worded in
    /// another way in newer code.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.asking(|question| {
            question.title = title.into();
            text::clean(&mut question.title, limits::TITLE);
        })
    }

    /// What it is about, such as the arguments of a tool, at most 1 MiB of JSON. The journal keeps a
    /// fingerprint: a replay that asks about something else blocks the run.
    pub fn payload<P: Serialize + ?Sized>(mut self, about: &P) -> Self {
        let what = format!("the payload of interrupt `{}`", self.name);
        match payload::encode("invalid_input", what, about) {
            Ok(payload) => self.question.payload = payload,
            Err(problem) => self.problem = Some(problem),
        }
        self
    }

    /// JSON Schema of the value that an answer brings: the control plane refuses any other.
    pub fn schema(self, schema: &Value) -> Self {
        self.asking(|question| question.schema = schema.to_string())
    }

    /// The same for a type.
    pub fn schema_of<V: JsonSchema>(self) -> Self {
        self.schema(schemars::schema_for!(V).as_value())
    }

    /// A choice of one of these values.
    pub fn choices<V: Serialize>(mut self, values: &[V]) -> Self {
        match serde_json::to_value(values) {
            Ok(values) => self.schema(&serde_json::json!({ "enum": values })),
            Err(error) => {
                let message = format!("the choices of `{}` are not JSON: {error}", self.name);
                self.problem = Some(Failure::permanent("invalid_input", message));
                self
            }
        }
        .kind(QuestionKind::Choice)
    }

    /// What may be decided. Left out: approve, edit or reject an approval, respond to or reject
    /// anything else.
    pub fn decisions(self, decisions: impl IntoIterator<Item = Decision>) -> Self {
        self.asking(|question| question.decisions = decisions.into_iter().collect())
    }

    /// Who is to answer, such as `ann@example.com` or `role:lead`; anybody unless said otherwise.
    pub fn assignee(self, assignee: impl Into<String>) -> Self {
        self.asking(|question| question.assignee = assignee.into())
    }

    /// How long there is time, counted from when it is asked. Then the [default](Self::default_to)
    /// counts, or the wait fails with the code `timed_out`, as [`Stop::Failed`].
    pub fn timeout(self, timeout: Duration) -> Self {
        self.asking(|question| question.timeout = Some(timeout))
    }

    /// What counts as the answer when time is up: approve or reject.
    pub fn default_to(self, decision: Decision) -> Self {
        self.asking(|question| question.default = Some(decision))
    }

    fn asking(mut self, change: impl FnOnce(&mut Question)) -> Self {
        change(&mut self.question);
        self
    }

    /// Asks, and waits for the answer. A value that is no `T` blocks the run.
    pub async fn ask<T: DeserializeOwned>(self) -> Result<Answer<T>, Stop> {
        let about = format!("interrupt `{}`", self.name);
        Answer::read(&about, self.wait().await?)
    }

    /// Asks whether what its payload says may happen. The payload must be a `T`.
    pub async fn approval<T: DeserializeOwned>(self) -> Result<Approval<T>, Stop> {
        let about = format!("interrupt `{}`", self.name);
        let payload = self.question.payload.clone();
        let answer: Answer = Answer::read(&about, self.wait().await?)?;
        let unfit = |error| unfit(&about, &error);
        Ok(match answer.decision {
            Decision::Approve => Approval::Approved(payload::decode(&payload).map_err(unfit)?),
            Decision::Edit => {
                let edited = answer.value.unwrap_or_default();
                Approval::Approved(serde_json::from_value(edited).map_err(unfit)?)
            }
            Decision::Reject => Approval::Rejected { reason: answer.reason, actor: answer.actor },
            Decision::Respond => Approval::Responded(answer.value.unwrap_or_default()),
        })
    }

    async fn wait(self) -> Result<EntryStatus, Stop> {
        let Self { context, name, question, problem } = self;
        if let Some(problem) = problem {
            return Err(Stop::Failed(problem));
        }
        let about = &question.payload;
        let input = (!about.is_empty()).then(|| Digest::of(&about.data));
        let command = Command { scope: context.place(), name: &name, kind: EntryKind::Wait, input };
        let wait = context.leased().engine().open(&command)?;
        context.outcome(wait, || Opening::Interrupt(Box::new(question)), None).await
    }
}
