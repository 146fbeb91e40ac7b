//! An interrupt: a wait that a person or system answers, with a row of its own so that an inbox can
//! list it.

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::id::{AgentId, InterruptId, RunId, TenantId};
use crate::key::Key;
use crate::limits;
use crate::payload::Payload;
use crate::text;
use crate::time::Timestamp;
use crate::wait::{Decision, Question};

/// One question of one run, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// Its id, made of the run's and the key.
    pub id: InterruptId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The run that asks.
    pub run: RunId,
    /// The run's agent, for lists.
    pub agent: AgentId,
    /// The journal entry that opened it.
    pub key: Key,
    /// What is asked.
    pub question: Question,
    /// When it was asked, by the database's clock.
    pub opened_at: Timestamp,
    /// Until when there is time, if there is a bound.
    pub due_at: Option<Timestamp>,
    /// What became of it.
    pub state: InterruptState,
}

/// What became of an interrupt. It leaves `Open` once (ANSWERED-ONCE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterruptState {
    /// Nobody has answered yet.
    Open,
    /// Somebody has.
    Answered {
        /// What they said.
        answer: Answer,
        /// When.
        at: Timestamp,
    },
    /// Time was up.
    TimedOut {
        /// When that was noticed.
        at: Timestamp,
    },
    /// The run ended first.
    Closed {
        /// When.
        at: Timestamp,
    },
}

impl InterruptState {
    /// The words of the states.
    pub const WORDS: [&str; 4] = ["open", "answered", "timed_out", "closed"];

    /// The word for this state everywhere.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered { .. } => "answered",
            Self::TimedOut { .. } => "timed_out",
            Self::Closed { .. } => "closed",
        }
    }
}

/// What somebody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What they decided.
    pub decision: Decision,
    /// The value that it brings, JSON; empty for decisions without one.
    pub value: Payload,
    /// Why, for people and for the model that asked.
    pub reason: String,
    /// Who they are.
    pub actor: String,
}

impl Answer {
    /// The answer, if it is within its limits and has what its decision needs.
    pub fn checked(self) -> Result<Self> {
        text::check("the reason of an answer", &self.reason, limits::MESSAGE)?;
        text::check("the actor of an answer", &self.actor, limits::NAME)?;
        let word = self.decision.as_str();
        match (self.decision.has_value(), self.value.is_empty()) {
            (true, true) => return Err(Error::invalid(format!("`{word}` needs a value"))),
            (false, false) => {
                return Err(Error::invalid(format!("`{word}` takes no value; leave it out")));
            }
            (true, false) | (false, true) => {}
        }
        let value = self.value.checked("the value of an answer")?;
        Ok(Self { value, ..self })
    }

    /// Whether the other says the same, whoever says it.
    fn agrees(&self, other: &Self) -> bool {
        self.decision == other.decision
            && self.value.data == other.value.data
            && self.reason == other.reason
    }
}

impl Interrupt {
    /// The id of the interrupt that a run opens under a key: no key is opened twice, so it needs no
    /// luck to be unique. A UUID of version 8 (RFC 9562).
    pub fn id_of(run: RunId, key: &Key) -> InterruptId {
        let digest = Digest::of(format!("{run}/{key}"));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_bytes()[..16]);
        InterruptId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Whether this answer may be taken: `true` if it is new, `false` if it is the one that was
    /// given (ANSWERED-ONCE).
    pub(crate) fn takes(&self, answer: &Answer) -> Result<bool> {
        let id = self.id;
        match &self.state {
            InterruptState::Open if self.question.allows(answer.decision) => Ok(true),
            InterruptState::Open => {
                let allowed: Vec<_> =
                    self.question.decisions().iter().map(|decision| decision.as_str()).collect();
                Err(Error::invalid(format!(
                    "{id} cannot be answered with `{}`: it allows {}",
                    answer.decision.as_str(),
                    allowed.join(", ")
                )))
            }
            InterruptState::Answered { answer: first, .. } if first.agrees(answer) => Ok(false),
            InterruptState::Answered { answer: first, at } => Err(Error::already_exists(format!(
                "{id} was answered with `{}` by {} at {at}",
                first.decision.as_str(),
                if first.actor.is_empty() { "somebody" } else { &first.actor }
            ))),
            InterruptState::TimedOut { at } => {
                Err(Error::wrong_state(format!("{id} timed out at {at}")))
            }
            InterruptState::Closed { at } => {
                Err(Error::wrong_state(format!("{id} was closed at {at}: its run has ended")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_has_the_id_of_its_run_and_key() {
        let run = RunId::new(uuid::Uuid::from_u128(1));
        let (one, two) = ("approve".parse().unwrap(), "approve#1".parse().unwrap());
        assert_eq!(Interrupt::id_of(run, &one), Interrupt::id_of(run, &one));
        assert_ne!(Interrupt::id_of(run, &one), Interrupt::id_of(run, &two));
        let other = RunId::new(uuid::Uuid::from_u128(2));
        assert_ne!(Interrupt::id_of(run, &one), Interrupt::id_of(other, &one));
    }
}
