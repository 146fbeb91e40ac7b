//! Nodes that ask people.

use serde_json::Value;
use tenure_sdk::{Answer, Decision, Interrupt, QuestionKind, Stop};
use tenure_spec::graph::{Asks, DefaultAnswer, InterruptNode};

use super::attempt::{Made, Outcome, Visit, caught};
use super::data::Data;
use super::{Machine, State};

impl Machine<'_> {
    /// Asks, and waits for the answer.
    pub(super) async fn interrupt(
        &self,
        visit: &Visit<'_>,
        node: &InterruptNode,
        state: &State,
    ) -> Result<Made, Stop> {
        let title = match &node.title {
            Some(title) => state.variables.render("title", title),
            None => Ok(visit.node.name.clone()),
        };
        let title = match title {
            Ok(title) => title,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let question = visit.scope.interrupt("ask").title(title).payload(&visit.input.value);
        let answer = caught(described(question, node).ask::<Value>().await)?;
        Ok(match answer {
            Ok(answer) => Ok(decided(node.kind, answer, visit.input)),
            Err(failure) => Err(failure.into()),
        })
    }
}

fn described(question: Interrupt, node: &InterruptNode) -> Interrupt {
    let mut question = match node.kind {
        Asks::Approval => question,
        Asks::Input => question.kind(QuestionKind::Input),
        Asks::Choice => question.choices(&node.choices),
    };
    if let Some(schema) = &node.schema {
        question = question.schema(schema);
    }
    if let Some(assignee) = &node.assignee {
        question = question.assignee(assignee);
    }
    if let Some(timeout) = node.timeout {
        question = question.timeout(timeout.0);
    }
    match node.default {
        None => question,
        Some(DefaultAnswer::Approve) => question.default_to(Decision::Approve),
        Some(DefaultAnswer::Reject) => question.default_to(Decision::Reject),
    }
}

fn decided(kind: Asks, answer: Answer, input: &Data) -> Outcome {
    let output = answer.value.map_or_else(|| input.clone(), Data::guess);
    let chosen = output.text().ok();
    let chosen = chosen.filter(|_| kind == Asks::Choice && answer.decision == Decision::Respond);
    Outcome { value: chosen.unwrap_or_else(|| answer.decision.as_str().into()), output }
}
