//! Open entries: what a run begins and somebody else completes, or it itself after a crash.
//!
//! An entry with the status *opened* says that something began. What completes it arrives in the
//! run's inbox under the entry's key; the owner then records a second entry under that key, which
//! is its result. So the journal alone tells the story, and nobody but the owner writes it.

use std::time::Duration;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::limits;
use crate::name::Name;
use crate::payload::Payload;
use crate::text;

/// What an entry opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A step whose effect must not happen twice was started. Found again without a result, it is
    /// in doubt: it may have happened.
    Started,
    /// A step that failed is to be tried again, because its run is.
    Again,
    /// A person or system is asked.
    Interrupt(Box<Question>),
    /// Another run is called.
    Child(Box<Call>),
}

/// What a person or system is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// What kind of question.
    pub kind: QuestionKind,
    /// One line for the list.
    pub title: String,
    /// What it is about, such as the arguments of the tool that wants to run.
    pub payload: Payload,
    /// JSON Schema of the value that an answer brings; empty for any value.
    pub schema: String,
    /// What may be decided; empty for everything that the kind allows.
    pub decisions: Vec<Decision>,
    /// Who is to answer, a principal or role; empty for anybody.
    pub assignee: String,
    /// How long there is time; `None` for ever.
    pub timeout: Option<Duration>,
    /// What counts as the answer when time is up; without it the wait fails as `timed_out`.
    pub default: Option<Decision>,
}

/// What kind of question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QuestionKind {
    /// May this happen?
    #[default]
    Approval,
    /// What shall it be?
    Input,
    /// Which of these?
    Choice,
}

impl QuestionKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Approval, Self::Input, Self::Choice];

    /// The word for this kind everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Input => "input",
            Self::Choice => "choice",
        }
    }

    /// The kind with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// What may be decided unless the question says otherwise.
    pub const fn decisions(self) -> &'static [Decision] {
        match self {
            Self::Approval => &[Decision::Approve, Decision::Edit, Decision::Reject],
            Self::Input | Self::Choice => &[Decision::Respond, Decision::Reject],
        }
    }
}

/// What an answer decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Go on as asked.
    Approve,
    /// Go on, with the value of the answer in place of what was asked.
    Edit,
    /// Do not.
    Reject,
    /// Do not; the value of the answer is the result.
    Respond,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Edit, Self::Reject, Self::Respond];

    /// The word for this decision everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Edit => "edit",
            Self::Reject => "reject",
            Self::Respond => "respond",
        }
    }

    /// The decision with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == word)
    }

    /// Whether an answer that decides this brings a value.
    pub const fn has_value(self) -> bool {
        match self {
            Self::Edit | Self::Respond => true,
            Self::Approve | Self::Reject => false,
        }
    }
}

/// Another run that a run calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The agent's name.
    pub agent: Name,
    /// A version's number, an alias, or empty for the newest.
    pub version: String,
    /// What it is asked to do.
    pub input: Payload,
    /// Whether it goes on when its caller ends; otherwise it is cancelled then.
    pub detached: bool,
    /// What it may use at most; its caller's own budget bounds it as well.
    pub budget: Budget,
}

impl Opening {
    /// The opening, if it is within its limits. `key` names it in errors.
    pub(crate) fn checked(self, key: &crate::Key) -> Result<Self> {
        Ok(match self {
            Self::Started => Self::Started,
            Self::Again => Self::Again,
            Self::Interrupt(question) => Self::Interrupt(Box::new(question.checked(key)?)),
            Self::Child(call) => Self::Child(Box::new(call.checked(key)?)),
        })
    }
}

impl Question {
    /// Whether it may be answered so.
    pub fn allows(&self, decision: Decision) -> bool {
        self.decisions().contains(&decision)
    }

    /// What may be decided.
    pub fn decisions(&self) -> &[Decision] {
        if self.decisions.is_empty() { self.kind.decisions() } else { &self.decisions }
    }

    fn checked(self, key: &crate::Key) -> Result<Self> {
        text::check(format!("the title of `{key}`"), &self.title, limits::TITLE)?;
        text::check(format!("the schema of `{key}`"), &self.schema, limits::SCHEMA)?;
        text::check(format!("the assignee of `{key}`"), &self.assignee, limits::NAME)?;
        if let Some(default) = self.default.filter(|default| default.has_value()) {
            let word = default.as_str();
            return Err(Error::invalid(format!(
                "the default of `{key}` cannot be `{word}`, which needs a value: use approve or reject"
            )));
        }
        if let Some(default) = self.default.filter(|default| !self.allows(*default)) {
            let word = default.as_str();
            return Err(Error::invalid(format!(
                "the default of `{key}` is `{word}`, which is not among the decisions it allows"
            )));
        }
        let payload = self.payload.checked(format!("the payload of `{key}`"))?;
        Ok(Self { payload, ..self })
    }
}

impl Call {
    fn checked(self, key: &crate::Key) -> Result<Self> {
        text::check(format!("the version that `{key}` calls"), &self.version, limits::NAME)?;
        let input = self.input.checked(format!("the input that `{key}` gives"))?;
        Ok(Self { input, ..self })
    }
}
