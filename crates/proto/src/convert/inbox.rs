use tenure_core::{Answer, Interrupt, InterruptState, Name, Result};

use super::waits::{decision, decision_in, question};
use super::{payload, payload_in, required, timestamp};
use crate::v1;

/// An interrupt of a run of the agent with this name, as the wire says it.
pub fn interrupt(agent: &Name, interrupt: Interrupt) -> v1::Interrupt {
    let mut asked = interrupt.question;
    // The reader need not know what each kind allows.
    asked.decisions = asked.decisions().to_vec();
    let (state, answer, ended_at) = match interrupt.state {
        InterruptState::Open => (v1::InterruptState::Open, None, None),
        InterruptState::Answered { answer, at } => {
            (v1::InterruptState::Answered, Some(answer), Some(at))
        }
        InterruptState::TimedOut { at } => (v1::InterruptState::TimedOut, None, Some(at)),
        InterruptState::Closed { at } => (v1::InterruptState::Closed, None, Some(at)),
    };
    v1::Interrupt {
        id: interrupt.id.to_string(),
        run: interrupt.run.to_string(),
        agent: agent.to_string(),
        key: interrupt.key.to_string(),
        question: Some(question(asked)),
        state: state.into(),
        opened_at: Some(timestamp(interrupt.opened_at)),
        due_at: interrupt.due_at.map(timestamp),
        answer: answer.map(answer_out),
        ended_at: ended_at.map(timestamp),
    }
}

fn answer_out(answer: Answer) -> v1::Answer {
    v1::Answer {
        decision: decision(answer.decision).into(),
        value: (!answer.value.is_empty()).then(|| payload(answer.value)),
        reason: answer.reason,
        actor: answer.actor,
    }
}

/// An answer from the wire.
pub fn answer_in(answer: Option<v1::Answer>) -> Result<Answer> {
    let answer = required("answer", answer)?;
    Ok(Answer {
        decision: required("answer.decision", decision_in(answer.decision()))?,
        value: payload_in(answer.value),
        reason: answer.reason,
        actor: answer.actor,
    })
}
