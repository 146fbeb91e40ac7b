//! What is asked, and what can be answered.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure_sdk::v1;

use super::json;

/// What the worth of a rejection is.
const REJECTED: u64 = 0x4e6f;

/// A question: may this number be taken?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) about: u64,
    /// How long there is time, and what counts then.
    pub(crate) deadline: Option<(Duration, Answer)>,
}

/// An answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Approve,
    /// Take this one instead.
    Edit(u64),
    Reject,
}

/// An answer in the journal, with the words of the control plane.
#[derive(Deserialize)]
struct Recorded {
    decision: String,
    #[serde(default)]
    value: Option<u64>,
    #[serde(default)]
    timed_out: bool,
}

impl Ask {
    /// What the run makes of the answer.
    pub(crate) fn worth(&self, answer: Answer) -> u64 {
        match answer {
            Answer::Approve => self.about,
            Answer::Edit(number) => number,
            Answer::Reject => REJECTED,
        }
    }
}

impl Answer {
    /// One of all that there are.
    pub(crate) fn draw(random: &mut fastrand::Rng) -> Self {
        match random.u8(..3) {
            0 => Self::Approve,
            1 => Self::Edit(random.u64(..)),
            _ => Self::Reject,
        }
    }

    /// An answer that differs from this one.
    pub(crate) fn other(self, random: &mut fastrand::Rng) -> Self {
        match self {
            Self::Approve => Self::Edit(random.u64(..)),
            Self::Edit(number) => Self::Edit(!number),
            Self::Reject => Self::Approve,
        }
    }

    /// By its decision's name and its value.
    pub(crate) fn of(decision: &str, value: Option<u64>) -> Option<Self> {
        match (decision, value) {
            ("approve", None) => Some(Self::Approve),
            ("edit", Some(number)) => Some(Self::Edit(number)),
            ("reject", None) => Some(Self::Reject),
            _ => None,
        }
    }

    /// The answer that a wait's entry has, and whether it is its default.
    pub(crate) fn recorded(payload: &v1::Payload) -> Option<(Self, bool)> {
        let recorded: Recorded = serde_json::from_slice(&payload.data).ok()?;
        Some((Self::of(&recorded.decision, recorded.value)?, recorded.timed_out))
    }

    /// As an interrupt has it.
    pub(crate) fn given(answer: &v1::Answer) -> Option<Self> {
        let decision = answer.decision();
        let decision = decision.as_str_name().strip_prefix("DECISION_")?.to_lowercase();
        let value = answer.value.as_ref().filter(|value| !value.data.is_empty());
        let value = value.map(|value| serde_json::from_slice(&value.data)).transpose().ok()?;
        Self::of(&decision, value)
    }

    /// As it is sent.
    pub(crate) fn wire(self, actor: &str) -> v1::Answer {
        let (decision, value) = match self {
            Self::Approve => (v1::Decision::Approve, None),
            Self::Edit(number) => (v1::Decision::Edit, Some(json(number))),
            Self::Reject => (v1::Decision::Reject, None),
        };
        v1::Answer { decision: decision.into(), value, actor: actor.into(), ..Default::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_sent() {
        for answer in [Answer::Approve, Answer::Edit(u64::MAX), Answer::Reject] {
            assert_eq!(Answer::given(&answer.wire("ann")), Some(answer));
            assert_ne!(answer.other(&mut fastrand::Rng::with_seed(1)), answer);
        }
    }

    #[test]
    fn a_default_is_told_from_an_answer() {
        let payload = |text: &str| v1::Payload { data: text.to_owned().into(), ..json(0) };
        let edited = payload(r#"{"decision": "edit", "value": 7, "actor": "ann"}"#);
        assert_eq!(Answer::recorded(&edited), Some((Answer::Edit(7), false)));
        let late = payload(r#"{"decision": "reject", "timed_out": true}"#);
        assert_eq!(Answer::recorded(&late), Some((Answer::Reject, true)));
    }
}
