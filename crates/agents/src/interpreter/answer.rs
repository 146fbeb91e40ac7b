//! The final answer, and whether it has the form that the specification asks for.

use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_sdk::{Context, Failure, Stop};

/// The form of a structured answer.
pub(super) struct Output {
    schema: Value,
    validator: Validator,
}

impl Output {
    pub(super) fn new(schema: &Value) -> Result<Self, Failure> {
        let validator = jsonschema::options().offline().build(schema);
        let validator = validator.map_err(|error| {
            Failure::permanent("output_schema", format!("`output` is no usable schema: {error}"))
        })?;
        Ok(Self { schema: schema.clone(), validator })
    }

    pub(super) fn schema(&self) -> &Value {
        &self.schema
    }

    /// What the model is told about the form.
    pub(super) fn request(&self) -> String {
        let schema = &self.schema;
        format!("Give your final answer as JSON alone, satisfying this JSON Schema:\n{schema}")
    }

    fn read(&self, text: &str) -> Verdict {
        let value = match serde_json::from_str(unfenced(text)) {
            Ok(value) => value,
            Err(error) => return wrong(&format!("it is not JSON: {error}")),
        };
        match crate::check::problems(&self.validator, &value) {
            None => Verdict::Final(value),
            Some(problems) => wrong(&problems),
        }
    }
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It is the output of the run.
    Final(Value),
    /// It has not the right form; the text tells the model why.
    Wrong(String),
}

fn wrong(why: &str) -> Verdict {
    Verdict::Wrong(format!(
        "This answer does not satisfy the schema: {why}. Answer again, with JSON alone."
    ))
}

/// Judges a reply without calls. The verdict is recorded: another release of the validator words
/// its problems in another way, and what the model was told must stay as it was.
pub(super) async fn judge(
    output: Option<&Output>,
    turn: &Context,
    text: &str,
) -> Result<Verdict, Stop> {
    match output {
        None => Ok(Verdict::Final(text.into())),
        Some(output) => {
            turn.step("output").run(|_| std::future::ready(Ok(output.read(text)))).await
        }
    }
}

/// Models like to wrap JSON in a fence of Markdown, whatever they are told.
pub(super) fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(inside) = text.strip_prefix("```").and_then(|text| text.strip_suffix("```")) else {
        return text;
    };
    inside.strip_prefix("json").unwrap_or(inside).trim()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn output() -> Output {
        let schema = json!({
            "type": "object",
            "properties": {"files": {"type": "integer"}},
            "required": ["files"],
        });
        Output::new(&schema).unwrap()
    }

    #[test]
    fn an_answer_may_stand_in_a_fence() {
        for text in [r#"{"files": 3}"#, "```json\n{\"files\": 3}\n```", "```\n{\"files\": 3}```\n"]
        {
            assert_eq!(output().read(text), Verdict::Final(json!({"files": 3})), "{text}");
        }
    }

    #[test]
    fn a_wrong_answer_is_told_what_is_wrong() {
        for (text, told) in
            [("three", "not JSON"), (r#"{"files": "3"}"#, "/files"), ("{}", "files")]
        {
            let Verdict::Wrong(problem) = output().read(text) else { panic!("{text}") };
            assert!(problem.contains(told), "{problem}");
        }
    }
}
