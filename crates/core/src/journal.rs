//! The journal: the append-only record of a run.
//!
//! A worker sends [`Record`]s; once committed, each is an [`Entry`] with its place in the run. An
//! entry never changes (FIRST-WINS) and a journal's `seq` are 1..n, each once (NO-GAP).

use std::time::Duration;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::limits;
use crate::payload::Payload;
use crate::steering::{self, Steer, Steering};
use crate::text;
use crate::time::Timestamp;
use crate::wait::Opening;

/// What kind of work an entry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A function of the user's.
    Step,
    /// A call of a model.
    Model,
    /// A call of a tool.
    Tool,
    /// Something that somebody else completes: a signal, a time, a person.
    Wait,
    /// A run started by this run.
    Child,
    /// An artifact that was written.
    Artifact,
    /// A value that must stay the same in a replay: a time, a random number, a note.
    Marker,
    /// Somebody intervened: the entry says who and why, or is the result that they gave a step.
    Steering,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Step,
        Self::Model,
        Self::Tool,
        Self::Wait,
        Self::Child,
        Self::Artifact,
        Self::Marker,
        Self::Steering,
    ];

    /// The word for this kind in storage and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Model => "model",
            Self::Tool => "tool",
            Self::Wait => "wait",
            Self::Child => "child",
            Self::Artifact => "artifact",
            Self::Marker => "marker",
            Self::Steering => "steering",
        }
    }

    /// The kind with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How the work stands. A key has at most one result that counts; it may be opened again when the
/// one before was settled: a step in doubt that somebody has started once more, a failed step that is
/// tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryStatus {
    /// It began; a later entry under the same key says how it ended.
    Opened(Opening),
    /// It gave this result.
    Succeeded(Payload),
    /// It failed for good, after the attempts that the step allows itself.
    Failed(Failure),
    /// Somebody intervened; the entry's key says how.
    Steered(Steering),
}

impl EntryStatus {
    /// The bytes that make it large: what a page of entries is measured by.
    pub fn size(&self) -> usize {
        match self {
            Self::Succeeded(payload) => payload.data.len(),
            Self::Failed(failure) => failure.message.len(),
            Self::Steered(steering) => steering.reason.len(),
            Self::Opened(Opening::Interrupt(question)) => {
                question.payload.data.len() + question.schema.len()
            }
            Self::Opened(Opening::Child(call)) => call.input.data.len(),
            Self::Opened(Opening::Started | Opening::Again) => 0,
        }
    }
}

/// A failure as a value: of a step, or of a whole run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable word for programs, such as `exhausted` or `http_500`.
    pub code: String,
    /// A sentence for people, at most [`limits::MESSAGE`] bytes.
    pub message: String,
    /// Whether doing the same again may help.
    pub retryable: bool,
    /// How long to wait before that, if the other side said so. A hint for whoever tries again
    /// now; it is not kept.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure that another attempt would not mend.
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: false, retry_after: None }
    }

    /// A failure that another attempt may mend.
    pub fn retryable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: true, retry_after: None }
    }

    /// The failure, mended not before this has passed.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self { retry_after: Some(pause), ..self }
    }

    /// The failure with texts that can be kept.
    #[must_use]
    pub fn cleaned(mut self) -> Self {
        text::clean(&mut self.code, limits::NAME);
        text::clean(&mut self.message, limits::MESSAGE);
        self.retry_after = None;
        self
    }
}

/// Any error is a failure that another attempt may mend: what will not get better says so itself,
/// with [`Failure::permanent`].
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(deeper) = cause {
            message = format!("{message}: {deeper}");
            cause = deeper.source();
        }
        Self::retryable("error", message)
    }
}

/// What a model call consumed; also the sum over a run. Money is in millionths of a US dollar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The model that was called; empty in a sum.
    pub model: String,
    /// Tokens of the prompt, cached ones included.
    pub input_tokens: u64,
    /// Tokens of the reply, reasoning included.
    pub output_tokens: u64,
    /// Tokens of the prompt that came from the provider's cache.
    pub cached_tokens: u64,
    /// Tokens of the reply that were reasoning.
    pub reasoning_tokens: u64,
    /// The price, as far as it is known.
    pub cost_micros: u64,
    /// Whether there is more to pay, and nobody knows how much: of one call that its price is not
    /// known, of a sum that this is so for a part of it.
    pub unpriced: bool,
    /// Calls of tools that have ended. Counted where records are summed: a record of what one model
    /// call consumed has none.
    pub tool_calls: u64,
}

impl Usage {
    /// Adds `other` to this sum, saturating. The model stays. A part without a price leaves the sum
    /// without one for that part, and saying so.
    pub fn add(&mut self, other: &Self) {
        self.unpriced |= other.unpriced;
        for (sum, part) in [
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.cached_tokens, other.cached_tokens),
            (&mut self.reasoning_tokens, other.reasoning_tokens),
            (&mut self.cost_micros, other.cost_micros),
            (&mut self.tool_calls, other.tool_calls),
        ] {
            // Signed 64 bits is what both databases keep.
            *sum = sum.saturating_add(part).min(i64::MAX as u64);
        }
    }
}

/// What a worker asks to have recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where in the program the result belongs.
    pub key: Key,
    /// What kind of work it was.
    pub kind: EntryKind,
    /// How it ended.
    pub status: EntryStatus,
    /// Fingerprint of what the step was given: a replay that comes with another input is stopped.
    pub input: Option<Digest>,
    /// Which attempt of the step gave this status, counted from 1.
    pub attempt: u32,
    /// How long that attempt took, by the worker's monotonic clock.
    pub duration: Duration,
    /// What it consumed, if it was a model call; of a called run that has ended, what that and all
    /// that it called have consumed.
    pub usage: Option<Usage>,
}

impl Record {
    /// By how many ended calls of tools there are more with it. An attempt that is followed by
    /// another one does not count; having an agent do something is a call of a tool as well.
    fn tool_calls(&self) -> i64 {
        match (self.kind, &self.status) {
            (
                EntryKind::Tool | EntryKind::Child,
                EntryStatus::Succeeded(_) | EntryStatus::Failed(_),
            ) => 1,
            (EntryKind::Tool, EntryStatus::Opened(Opening::Again)) => -1,
            (_, _) => 0,
        }
    }

    /// The record, if it is within its limits.
    pub fn checked(self) -> Result<Self> {
        let status = match self.status {
            EntryStatus::Succeeded(payload) => {
                let what = format!("the payload of entry `{}`", self.key);
                EntryStatus::Succeeded(payload.checked(what)?)
            }
            EntryStatus::Failed(failure) => EntryStatus::Failed(failure.cleaned()),
            EntryStatus::Opened(opening) => EntryStatus::Opened(opening.checked(&self.key)?),
            EntryStatus::Steered(_) => {
                let key = &self.key;
                return Err(Error::invalid(format!("entry `{key}`: a worker does not steer")));
            }
        };
        if self.kind == EntryKind::Steering || self.key.is_reserved() {
            return Err(Error::invalid(format!("entry `{}` is not a worker's to write", self.key)));
        }
        if let Some(usage) = &self.usage {
            text::check(format!("the model of entry `{}`", self.key), &usage.model, limits::NAME)?;
        }
        if self.attempt == 0 {
            return Err(Error::invalid(format!("entry `{}`: attempts count from 1", self.key)));
        }
        Ok(Self { status, ..self })
    }
}

/// What a record adds to what was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spending<'a> {
    /// What a model consumed.
    pub usage: Option<&'a Usage>,
    /// By how many ended calls of tools there are more; one less if it takes one back.
    pub tool_calls: i64,
}

impl Record {
    /// What it adds to what was spent, if anything. What a called run has used is not counted again
    /// with its caller.
    pub fn spending(&self) -> Option<Spending<'_>> {
        let tool_calls = self.tool_calls();
        let usage = self.usage.as_ref().filter(|_| self.kind != EntryKind::Child);
        (usage.is_some() || tool_calls != 0).then_some(Spending { usage, tool_calls })
    }
}

impl Record {
    /// What is written when somebody intervenes; it will stand in place `seq`.
    pub(crate) fn steered(steer: Steer, steering: Steering, seq: u64) -> Self {
        Self::given(steering::key(steer, seq), EntryStatus::Steered(steering))
    }

    /// A failed step is to be executed again.
    pub(crate) fn again(key: Key) -> Self {
        let status = EntryStatus::Opened(Opening::Again);
        Self { kind: EntryKind::Step, ..Self::given(key, status) }
    }

    /// The result that somebody gave a step.
    pub(crate) fn given(key: Key, status: EntryStatus) -> Self {
        Self {
            key,
            kind: EntryKind::Steering,
            status,
            input: None,
            attempt: 1,
            duration: Duration::ZERO,
            usage: None,
        }
    }
}

/// A committed record with its place in the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, counted from 1.
    pub seq: u64,
    /// The epoch of the lease it was written under.
    pub epoch: u64,
    /// When it was committed, by the database's clock.
    pub at: Timestamp,
    /// What was recorded.
    pub record: Record,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_usage_saturates_where_the_databases_do() {
        let mut sum = Usage { input_tokens: i64::MAX as u64, ..Usage::default() };
        sum.add(&Usage { input_tokens: 5, output_tokens: 7, ..Usage::default() });
        assert_eq!((sum.input_tokens, sum.output_tokens), (i64::MAX as u64, 7));
    }

    #[test]
    fn a_sum_with_a_part_without_a_price_says_so() {
        let known = Usage { cost_micros: 7, ..Usage::default() };
        let mut sum = Usage::default();
        sum.add(&known);
        assert_eq!((sum.cost_micros, sum.unpriced), (7, false));
        sum.add(&Usage { unpriced: true, ..Usage::default() });
        sum.add(&known);
        assert_eq!((sum.cost_micros, sum.unpriced), (14, true));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let failure = Failure::permanent("x", "é".repeat(limits::MESSAGE)).cleaned();
        assert_eq!(failure.message.len(), limits::MESSAGE);
    }
}
