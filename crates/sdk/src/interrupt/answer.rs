//! What comes back from a question.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tenure_core::{Decision, EntryStatus, Failure, Payload};

use crate::payload;
use crate::stop::Stop;

/// What somebody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T = Value> {
    /// What they decided.
    pub decision: Decision,
    /// The value that they gave; `edit` and `respond` have one, other decisions have none.
    pub value: Option<T>,
    /// Why, for people and for a model that asked; often empty.
    pub reason: String,
    /// Who they are, such as `ann@example.com`.
    pub actor: String,
    /// Nobody answered in time: this is the question's default.
    pub timed_out: bool,
}

/// What became of a request for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it may have been rejected"]
pub enum Approval<T> {
    /// Go on with this: what was asked, or what somebody made of it.
    Approved(T),
    /// Do not.
    Rejected {
        /// Why; may be empty.
        reason: String,
        /// Who decided.
        actor: String,
    },
    /// Do not; this is the result. Only if the question allowed [`Decision::Respond`].
    Responded(Value),
}

impl<T> Approval<T> {
    /// What was approved; anything else fails with the code `rejected`.
    pub fn granted(self) -> Result<T, Stop> {
        match self {
            Self::Approved(value) => Ok(value),
            Self::Rejected { reason, actor } if reason.is_empty() => {
                Err(Stop::failed("rejected", format!("rejected by {actor}")))
            }
            Self::Rejected { reason, .. } => Err(Stop::failed("rejected", reason)),
            Self::Responded(value) => Err(Stop::failed("rejected", value.to_string())),
        }
    }
}

/// The answer as the control plane writes it.
#[derive(Deserialize)]
struct Wire {
    decision: String,
    #[serde(default)]
    value: Option<Value>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    timed_out: bool,
}

impl<T: DeserializeOwned> Answer<T> {
    /// The answer that a wait ended with; `about` names the question.
    pub(crate) fn read(about: &str, status: EntryStatus) -> Result<Self, Stop> {
        let payload = ended(status)?;
        let wire: Wire = payload::decode(&payload).map_err(|error| unfit(about, &error))?;
        let value = wire.value.map(serde_json::from_value).transpose();
        let decision = Decision::parse(&wire.decision);
        let unknown = || {
            let message = format!("the answer to {about} decides `{}`", wire.decision);
            Stop::Blocked(Failure::permanent("mismatch", message))
        };
        Ok(Self {
            decision: decision.ok_or_else(unknown)?,
            value: value.map_err(|error| unfit(about, &error))?,
            reason: wire.reason,
            actor: wire.actor,
            timed_out: wire.timed_out,
        })
    }
}

/// What a wait brought. Its failure is final: to ask again would give the same.
pub(crate) fn ended(status: EntryStatus) -> Result<Payload, Stop> {
    match status {
        EntryStatus::Succeeded(payload) => Ok(payload),
        EntryStatus::Failed(failure) => Err(Stop::Failed(Failure { retryable: false, ..failure })),
        EntryStatus::Opened(_) | EntryStatus::Steered(_) => {
            Err(Stop::failed("internal", "a wait was answered without a result"))
        }
    }
}

pub(super) fn unfit(about: &str, error: &serde_json::Error) -> Stop {
    let message = format!("the answer to {about} does not fit the code: {error}");
    Stop::Blocked(Failure::permanent("mismatch", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: DeserializeOwned>(json: &str) -> Result<Answer<T>, Stop> {
        Answer::read("interrupt `x`", EntryStatus::Succeeded(Payload::json(json.to_owned())))
    }

    #[test]
    fn an_answer_is_read_as_the_control_plane_writes_it() {
        let json = r#"{"decision": "edit", "value": 7, "reason": "more", "actor": "ann"}"#;
        let answer: Answer<u32> = read(json).unwrap();
        assert_eq!((answer.decision, answer.value), (Decision::Edit, Some(7)));
        assert_eq!((&*answer.reason, &*answer.actor, answer.timed_out), ("more", "ann", false));
        let answer: Answer = read(r#"{"decision": "reject", "timed_out": true}"#).unwrap();
        assert_eq!(
            (answer.decision, answer.value, answer.timed_out),
            (Decision::Reject, None, true)
        );
    }

    #[test]
    fn an_answer_that_the_code_cannot_read_blocks() {
        for json in [r#"{"decision": "edit", "value": "x"}"#, r#"{"decision": "maybe"}"#, "null"] {
            let Err(Stop::Blocked(failure)) = read::<u32>(json) else { panic!("{json}") };
            assert!(failure.message.contains("interrupt `x`"), "{}", failure.message);
        }
    }

    #[test]
    fn a_wait_that_failed_is_not_tried_again() {
        let failed = EntryStatus::Failed(Failure::retryable("down", "not now"));
        let Err(Stop::Failed(failure)) = ended(failed) else { panic!("it failed") };
        assert!(!failure.retryable);
    }
}
