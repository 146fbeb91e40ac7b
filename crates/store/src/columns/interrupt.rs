//! The rows of interrupts: opened, and ended one by one or with their run.

use tenure_core::interrupt::InterruptState;
use tenure_core::{Decision, Interrupt, InterruptId, Run, Timestamp};
use uuid::Uuid;

use super::{PayloadColumns, micros};
use crate::documents;

/// A new row of `interrupts`.
pub(crate) struct InterruptColumns<'a> {
    pub tenant_id: Uuid,
    pub interrupt_id: Uuid,
    pub run_id: Uuid,
    pub agent_id: Uuid,
    pub key: &'a str,
    pub kind: &'static str,
    pub title: &'a str,
    pub payload: PayloadColumns<'a>,
    pub schema: &'a str,
    /// JSON: a list of words.
    pub decisions: String,
    pub assignee: &'a str,
    pub timeout_micros: Option<i64>,
    pub default_decision: Option<&'static str>,
    pub opened_at: Timestamp,
    pub due_at: Option<Timestamp>,
}

impl<'a> InterruptColumns<'a> {
    pub(super) fn of(interrupt: &'a Interrupt) -> Self {
        let question = &interrupt.question;
        Self {
            tenant_id: interrupt.tenant.uuid(),
            interrupt_id: interrupt.id.uuid(),
            run_id: interrupt.run.uuid(),
            agent_id: interrupt.agent.uuid(),
            key: interrupt.key.as_str(),
            kind: question.kind.as_str(),
            title: &question.title,
            payload: PayloadColumns::of(&question.payload),
            schema: &question.schema,
            decisions: documents::text(&documents::words(&question.decisions)),
            assignee: &question.assignee,
            timeout_micros: question.timeout.map(micros),
            default_decision: question.default.map(Decision::as_str),
            opened_at: interrupt.opened_at,
            due_at: interrupt.due_at,
        }
    }
}

/// What became of an interrupt: all of its row that ever changes.
pub(crate) struct EndColumns<'a> {
    pub tenant_id: Uuid,
    pub interrupt_id: Uuid,
    pub state: &'static str,
    pub answer_decision: Option<&'static str>,
    pub answer: PayloadColumns<'a>,
    pub answer_reason: Option<&'a str>,
    pub answer_actor: Option<&'a str>,
    pub ended_at: Option<Timestamp>,
}

impl<'a> EndColumns<'a> {
    pub(super) fn of(run: &Run, id: InterruptId, state: &'a InterruptState) -> Self {
        let mut columns = Self {
            tenant_id: run.tenant.uuid(),
            interrupt_id: id.uuid(),
            state: state.as_str(),
            answer_decision: None,
            answer: PayloadColumns::default(),
            answer_reason: None,
            answer_actor: None,
            ended_at: None,
        };
        match state {
            InterruptState::Open => {}
            InterruptState::Answered { answer, at } => {
                columns.answer_decision = Some(answer.decision.as_str());
                columns.answer = PayloadColumns::of(&answer.value);
                columns.answer_reason = Some(&answer.reason);
                columns.answer_actor = Some(&answer.actor);
                columns.ended_at = Some(*at);
            }
            InterruptState::TimedOut { at } | InterruptState::Closed { at } => {
                columns.ended_at = Some(*at);
            }
        }
        columns
    }
}

/// A run whose open interrupts are closed.
pub(crate) struct CloseColumns {
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub ended_at: Timestamp,
}

impl CloseColumns {
    pub(super) fn of(run: &Run, at: Timestamp) -> Self {
        Self { tenant_id: run.tenant.uuid(), run_id: run.id.uuid(), ended_at: at }
    }
}
