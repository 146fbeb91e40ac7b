//! Templates of scripted models: minijinja without files, with a bound on work and on size.

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value;
use tenure_sdk::{Failure, limits};

use super::document;

/// Instructions that one template may take: thousands of files in a loop, not an endless one.
const FUEL: u64 = 1_000_000;

/// What a template can refer to.
#[derive(Clone, Serialize)]
pub(super) struct Scene<'a> {
    /// The first message of the user.
    pub(super) input: &'a str,
    /// The system messages of a client, which keeps the conversation.
    pub(super) system: Vec<&'a str>,
    /// The text of the last message, whoever said it.
    pub(super) last: &'a str,
    /// The results of tools since the last message of the assistant, as JSON texts.
    pub(super) results: Vec<&'a str>,
    /// The element of the list that a call is made for.
    pub(super) item: Option<&'a Value>,
}

/// Renders templates. Text is never escaped: it goes to tools and people, not into HTML. Beside
/// minijinja's own filters there are `fromjson`, `heading` and `sentence`.
pub(super) struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        // A misspelt variable is told instead of leaving a hole; `{% if file.error %}` stays legal.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.add_filter("fromjson", from_json);
        environment.add_filter("heading", document::heading);
        environment.add_filter("sentence", document::sentence);
        Self { environment }
    }

    /// The text that a template makes of a scene.
    pub(super) fn text(&self, template: &str, scene: &Scene<'_>) -> Result<String, Failure> {
        let text = self.environment.render_str(template, scene).map_err(|error| failed(&error))?;
        if text.len() > limits::PAYLOAD {
            return Err(wrong(&format!("it makes more than {} bytes", limits::PAYLOAD)));
        }
        Ok(text)
    }

    /// `value` with every text in it rendered; names of fields stay as they are.
    pub(super) fn value(&self, value: &Value, scene: &Scene<'_>) -> Result<Value, Failure> {
        Ok(match value {
            Value::String(template) => self.text(template, scene)?.into(),
            Value::Array(items) => {
                items.iter().map(|item| self.value(item, scene)).collect::<Result<_, _>>()?
            }
            Value::Object(fields) => {
                let field =
                    |(name, value): (&String, _)| Ok((name.clone(), self.value(value, scene)?));
                Value::Object(fields.iter().map(field).collect::<Result<_, Failure>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }
}

fn from_json(text: &str) -> Result<minijinja::Value, Error> {
    let value = serde_json::from_str::<Value>(text);
    value.map(minijinja::Value::from_serialize).map_err(|error| {
        Error::new(ErrorKind::BadSerialization, format!("fromjson: not JSON: {error}"))
    })
}

fn failed(error: &Error) -> Failure {
    wrong(&error.to_string())
}

fn wrong(why: &str) -> Failure {
    Failure::permanent("script_template", format!("a template of `model.script` failed: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &str) -> Result<String, Failure> {
        let item = json!({"path": "a.md"});
        let scene = Scene {
            input: "# Hi\nyou",
            system: vec![],
            last: "{}",
            results: vec!["[1]"],
            item: Some(&item),
        };
        Templates::new().text(template, &scene)
    }

    #[test]
    fn templates_know_the_conversation() {
        assert_eq!(render("{{ input|lines|first }} {{ item.path }}").unwrap(), "# Hi a.md");
        assert_eq!(
            render("{{ results|length }}{{ (results|first|fromjson)|first }}").unwrap(),
            "11"
        );
        assert_eq!(render("{% if (last|fromjson).error %}no{% endif %}").unwrap(), "");
    }

    #[test]
    fn mistakes_and_excess_are_failures() {
        for template in [
            "{{ inptu }}",
            "{{ x",
            "{{ input|fromjson }}",
            "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
            "{{ 'x' * 99999999 }}",
        ] {
            let failure = render(template).unwrap_err();
            assert_eq!((failure.code.as_str(), failure.retryable), ("script_template", false));
        }
    }

    #[test]
    fn every_text_of_a_value_is_a_template() {
        let scene = Scene { input: "a", system: vec![], last: "", results: vec![], item: None };
        let value = json!({"{{ input }}": ["{{ input }}", 1, {"x": "{{ input }}b"}]});
        let rendered = Templates::new().value(&value, &scene).unwrap();
        assert_eq!(rendered, json!({"{{ input }}": ["a", 1, {"x": "ab"}]}));
    }
}
