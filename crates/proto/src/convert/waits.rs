use tenure_core::{Call, Decision, Error, Key, Opening, Question, QuestionKind, Result, Steering};

use super::{budget, budget_in, duration, duration_if, payload, payload_in, required};
use crate::v1;

/// What an entry opens, as the wire says it.
pub fn opening(opening: Opening) -> v1::Opening {
    use v1::opening::Opening as Wire;
    let wire = match opening {
        Opening::Started => Wire::Started(v1::Started {}),
        Opening::Again => Wire::Again(v1::Again {}),
        Opening::Interrupt(asked) => Wire::Interrupt(question(*asked)),
        Opening::Child(called) => Wire::Child(call(*called)),
    };
    v1::Opening { opening: Some(wire) }
}

/// What an entry opens, from the wire; `key` names the entry in errors.
pub fn opening_in(key: &Key, wire: v1::Opening) -> Result<Opening> {
    use v1::opening::Opening as Wire;
    Ok(match required(&format!("entry `{key}`: opening"), wire.opening)? {
        Wire::Started(v1::Started {}) => Opening::Started,
        Wire::Again(v1::Again {}) => Opening::Again,
        Wire::Interrupt(asked) => Opening::Interrupt(Box::new(question_in(key, asked)?)),
        Wire::Child(called) => Opening::Child(Box::new(call_in(called)?)),
    })
}

pub(super) fn question(asked: Question) -> v1::Question {
    v1::Question {
        kind: question_kind(asked.kind).into(),
        title: asked.title,
        payload: Some(payload(asked.payload)),
        schema: asked.schema,
        decisions: asked.decisions.into_iter().map(|one| decision(one).into()).collect(),
        assignee: asked.assignee,
        timeout: asked.timeout.map(duration),
        default_decision: asked.default.map_or(0, |default| decision(default).into()),
    }
}

fn question_in(key: &Key, wire: v1::Question) -> Result<Question> {
    let kind = QuestionKind::ALL.into_iter().find(|known| question_kind(*known) == wire.kind());
    let decisions = wire.decisions().map(|one| required_decision(key, one)).collect::<Result<_>>();
    Ok(Question {
        kind: required(&format!("entry `{key}`: the kind of the question"), kind)?,
        decisions: decisions?,
        default: decision_in(wire.default_decision()),
        timeout: duration_if(&format!("entry `{key}`: timeout"), wire.timeout)?,
        title: wire.title,
        payload: payload_in(wire.payload),
        schema: wire.schema,
        assignee: wire.assignee,
    })
}

fn required_decision(key: &Key, wire: v1::Decision) -> Result<Decision> {
    decision_in(wire).ok_or_else(|| {
        Error::invalid(format!("entry `{key}`: decisions: there is none without name"))
    })
}

fn question_kind(kind: QuestionKind) -> v1::QuestionKind {
    match kind {
        QuestionKind::Approval => v1::QuestionKind::Approval,
        QuestionKind::Input => v1::QuestionKind::Input,
        QuestionKind::Choice => v1::QuestionKind::Choice,
    }
}

pub(super) fn decision(decision: Decision) -> v1::Decision {
    match decision {
        Decision::Approve => v1::Decision::Approve,
        Decision::Edit => v1::Decision::Edit,
        Decision::Reject => v1::Decision::Reject,
        Decision::Respond => v1::Decision::Respond,
    }
}

pub(super) fn decision_in(wire: v1::Decision) -> Option<Decision> {
    Decision::ALL.into_iter().find(|known| decision(*known) == wire)
}

fn call(call: Call) -> v1::Call {
    v1::Call {
        agent: call.agent.to_string(),
        version: call.version,
        input: Some(payload(call.input)),
        detached: call.detached,
        budget: budget(call.budget),
    }
}

fn call_in(wire: v1::Call) -> Result<Call> {
    Ok(Call {
        agent: wire.agent.parse()?,
        version: wire.version,
        input: payload_in(wire.input),
        detached: wire.detached,
        budget: budget_in(wire.budget),
    })
}

/// Who intervened and why, as the wire says it.
pub fn steering(by: Steering) -> v1::Steering {
    v1::Steering { actor: by.actor, reason: by.reason }
}

/// Who intervenes and why, from the wire; left out, nobody says.
pub fn steering_in(wire: Option<v1::Steering>) -> Steering {
    let v1::Steering { actor, reason } = wire.unwrap_or_default();
    Steering { actor, reason }
}
