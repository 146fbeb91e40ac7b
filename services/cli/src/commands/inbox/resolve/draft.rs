use serde_json::Value;
use tenure_sdk::v1;

use super::Answered;
use crate::cli::{Actor, By};
use crate::input;
use crate::problem::Problem;

/// An answer before it is known to which question.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(super) decision: v1::Decision,
    value: DraftValue,
    reason: String,
    actor: String,
}

#[derive(Debug)]
enum DraftValue {
    None,
    Json(Value),
    /// JSON or a text: the schema of the question decides.
    Written(String),
}

impl Draft {
    pub(crate) fn approve(edit: Option<&str>, by: By) -> Result<Self, Problem> {
        let edit = edit.map(|edit| input::json("the edit", edit)).transpose()?;
        let (decision, value) = match edit {
            Some(value) => (v1::Decision::Edit, DraftValue::Json(value)),
            None => (v1::Decision::Approve, DraftValue::None),
        };
        Ok(Self { decision, value, reason: by.reason, actor: by.actor.actor })
    }

    pub(crate) fn reject(reason: String, actor: Actor) -> Self {
        let (decision, value) = (v1::Decision::Reject, DraftValue::None);
        Self { decision, value, reason, actor: actor.actor }
    }

    pub(crate) fn respond(value: &str, by: By) -> Result<Self, Problem> {
        let value = DraftValue::Written(input::text(value)?);
        let decision = v1::Decision::Respond;
        Ok(Self { decision, value, reason: by.reason, actor: by.actor.actor })
    }

    /// Whether the question has to be known before it can be answered.
    pub(super) fn needs_schema(&self) -> bool {
        matches!(self.value, DraftValue::Written(_))
    }

    /// The answer to a question with this schema.
    pub(super) fn answer(&self, schema: &str) -> Result<v1::Answer, Problem> {
        let value = match &self.value {
            DraftValue::None => None,
            DraftValue::Json(value) => Some(value.clone()),
            DraftValue::Written(text) => Some(value(text, schema)?),
        };
        Ok(v1::Answer {
            decision: self.decision.into(),
            value: value.as_ref().map(input::json_payload),
            reason: self.reason.clone(),
            actor: self.actor.clone(),
        })
    }

    /// The answer to this interrupt, if it can be answered so.
    pub(super) fn to(&self, asked: v1::Interrupt) -> Option<Result<Answered, Problem>> {
        let question = asked.question?;
        let allowed = question.decisions().any(|allowed| allowed == self.decision);
        let answered = |answer| Answered { interrupt: asked.id, answer };
        allowed.then(|| self.answer(&question.schema).map(answered))
    }
}

/// The JSON that a text is, or the text as a JSON string where only that fits the schema: `42` is a
/// number unless the question wants a text. What does not fit is refused by the control plane, which
/// says why.
fn value(text: &str, schema: &str) -> Result<Value, Problem> {
    let string = Value::String(text.to_owned());
    match serde_json::from_str::<Value>(text) {
        Ok(json) if fits(&json, schema) || !fits(&string, schema) => Ok(json),
        // Meant as JSON: that a text does not fit would say too little.
        Err(error) if text.starts_with(['{', '[', '"']) && !fits(&string, schema) => {
            Err(Problem::new(format!("the value is not JSON: {error}"))
                .hint("the question takes no plain text; 'tenure inbox show ID' has its schema"))
        }
        Ok(_) | Err(_) => Ok(string),
    }
}

fn fits(value: &Value, schema: &str) -> bool {
    let schema = serde_json::from_str(schema).unwrap_or(Value::Bool(true));
    jsonschema::validator_for(&schema).is_ok_and(|schema| schema.is_valid(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_json_or_a_text_as_the_schema_wants_it() {
        let value = |text, schema| value(text, schema).map_err(|problem| problem.render());
        let text = r#"{"type": "string"}"#;
        assert_eq!(value("42", ""), Ok(json!(42)));
        assert_eq!(value("42", text), Ok(json!("42")));
        assert_eq!(value("\"42\"", text), Ok(json!("42")));
        assert_eq!(value("blue", ""), Ok(json!("blue")));
        assert_eq!(value("3", r#"{"enum": ["3", 4]}"#), Ok(json!("3")));
        assert_eq!(value("4", r#"{"enum": ["3", 4]}"#), Ok(json!(4)));
        let nested = r##"{"$ref": "#/$defs/t", "$defs": {"t": {"type": "string"}}}"##;
        assert_eq!(value("true", nested), Ok(json!("true")));
        let object = r#"{"type": "object"}"#;
        assert_eq!(value("true", object), Ok(json!(true)), "for the control plane to refuse");
        assert_eq!(value("blue", object), Ok(json!("blue")), "for the control plane to refuse");
        assert!(value("{a: 1}", object).unwrap_err().contains("is not JSON"));
    }

    #[test]
    fn a_draft_answers_only_what_allows_it() {
        let by = By { reason: String::new(), actor: Actor { actor: "ann".into() } };
        let draft = Draft::approve(None, by).unwrap();
        let asked = |decisions: &[v1::Decision]| v1::Interrupt {
            id: "int_1".into(),
            question: Some(v1::Question {
                decisions: decisions.iter().map(|one| (*one).into()).collect(),
                ..v1::Question::default()
            }),
            ..v1::Interrupt::default()
        };
        let answered = draft.to(asked(&[v1::Decision::Approve])).unwrap().unwrap();
        assert_eq!((&*answered.interrupt, &*answered.answer.actor), ("int_1", "ann"));
        assert!(answered.answer.value.is_none());
        assert!(draft.to(asked(&[v1::Decision::Respond])).is_none());
    }

    #[test]
    fn an_edit_is_json() {
        let by = || By { reason: String::new(), actor: Actor { actor: String::new() } };
        let draft = Draft::approve(Some("{\"amount\": 5}"), by()).unwrap();
        let answer = draft.answer("").unwrap();
        assert_eq!(answer.decision(), v1::Decision::Edit);
        assert_eq!(&answer.value.unwrap().data[..], b"{\"amount\":5}");
        let refused = Draft::approve(Some("{amount: 5}"), by()).unwrap_err().render();
        assert!(refused.contains("the edit is not JSON"), "{refused}");
    }
}
