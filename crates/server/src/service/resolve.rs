//! Resolve: somebody answers an interrupt (ANSWERED-ONCE).

use futures::future::join_all;
use serde_json::{Value, json};
use tenure_core::{
    Answer, Decision, Error, Interrupt, InterruptId, Name, Payload, Question, Result, limits,
};

use super::{Asked, Service};
use crate::ledger::Command;

impl Service {
    /// Answers an interrupt. The same answer again changes nothing; another one is a conflict.
    pub async fn resolve(&self, tenant: &Name, id: InterruptId, answer: Answer) -> Result<Asked> {
        let tenant_id = self.tenant_id(tenant).await?;
        let interrupt = self.interrupt(tenant_id, id).await?;
        let answer = answer.checked()?;
        let message = message(&interrupt.question, &answer)?;
        let decide = Box::new(move |run: &tenure_core::Run, interrupt: &Interrupt, now| {
            run.resolve(interrupt, answer.clone(), message.clone(), now)
        });
        let (tenant, run) = (tenant_id, interrupt.run);
        let resolve = Command::Resolve { tenant, run, interrupt: id, decide };
        self.ledger.apply(resolve).await?;
        self.asked(self.interrupt(tenant, id).await?).await
    }

    /// Answers many interrupts alike, each for itself.
    pub async fn resolve_all(
        &self,
        tenant: &Name,
        ids: &[InterruptId],
        answer: &Answer,
    ) -> Result<Vec<Result<Asked>>> {
        if ids.len() > limits::PAGE {
            let what = "the number of interrupts in one request";
            return Err(Error::too_large(what, ids.len(), limits::PAGE));
        }
        let each = ids.iter().map(|id| self.resolve(tenant, *id, answer.clone()));
        Ok(join_all(each).await)
    }
}

/// The answer as the run's code will see it, if its value is what the question asks for.
fn message(question: &Question, answer: &Answer) -> Result<Payload> {
    let mut message = json!({
        "decision": answer.decision.as_str(),
        "reason": answer.reason,
        "actor": answer.actor,
    });
    if answer.decision.has_value() {
        let value: Value = serde_json::from_slice(&answer.value.data)
            .map_err(|error| Error::invalid(format!("the value is not JSON: {error}")))?;
        fits(question, &value)?;
        message["value"] = value;
    }
    Ok(Payload::json(message.to_string()))
}

fn fits(question: &Question, value: &Value) -> Result<()> {
    if question.schema.is_empty() {
        return Ok(());
    }
    let problems: Vec<String> = schema(&question.schema)?
        .iter_errors(value)
        .map(|error| match error.instance_path().as_str() {
            "" => error.to_string(),
            path => format!("{path}: {error}"),
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!("the value does not fit the schema: {}", problems.join("; "))))
}

/// A JSON Schema, ready to use.
pub(super) fn schema(text: &str) -> Result<jsonschema::Validator> {
    let wrong = |error: String| Error::invalid(format!("it is not a JSON Schema: {error}"));
    let schema: Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    jsonschema::validator_for(&schema).map_err(|error| wrong(error.to_string()))
}

/// What a question's default says when its time is up.
pub(super) fn default_message(default: Decision) -> Payload {
    let message = json!({
        "decision": default.as_str(),
        "reason": "nobody answered in time",
        "actor": tenure_core::Steering::SYSTEM,
        "timed_out": true,
    });
    Payload::json(message.to_string())
}
