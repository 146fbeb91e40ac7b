//! Values in which texts are templates.

use serde_json::{Map, Value};

use super::{TemplateProblem, render};

/// Fills in every text of a value. A text that is nothing but a variable that there is, such as
/// `{{.rate}}` or `{{.item.path}}`, becomes its value as it is; any other becomes a text.
pub fn fill(value: &Value, variables: &Map<String, Value>) -> Result<Value, TemplateProblem> {
    Ok(match value {
        Value::String(text) => match variable(text, variables) {
            Some(value) => value.clone(),
            None => render(text, variables)?.into(),
        },
        Value::Array(list) => {
            list.iter().map(|value| fill(value, variables)).collect::<Result<_, _>>()?
        }
        Value::Object(map) => Value::Object(fill_fields(map, variables)?),
        plain => plain.clone(),
    })
}

/// [`fill`] for the fields of an object; their names stay as they are.
pub fn fill_fields(
    map: &Map<String, Value>,
    variables: &Map<String, Value>,
) -> Result<Map<String, Value>, TemplateProblem> {
    map.iter().map(|(name, value)| Ok((name.clone(), fill(value, variables)?))).collect()
}

/// What a text that is one action of nothing but a variable stands for.
fn variable<'a>(text: &str, variables: &'a Map<String, Value>) -> Option<&'a Value> {
    let path = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim().strip_prefix('.')?;
    let mut names = path.split('.');
    let first = variables.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_variable_alone_keeps_its_type() {
        let variables = json!({"rate": 8, "item": {"path": "a.md", "tags": ["x"]}});
        let value = json!({
            "rate": "{{.rate}}", "told": "rated {{.rate}}", "tags": ["{{ .item.tags }}"],
            "path": "{{.item.path}}", "none": "{{.none}}", "plain": [1, null, true],
        });
        let filled = fill(&value, variables.as_object().unwrap()).unwrap();
        assert_eq!(
            filled,
            json!({
                "rate": 8, "told": "rated 8", "tags": [["x"]], "path": "a.md",
                "none": "<no value>", "plain": [1, null, true],
            })
        );
        assert!(fill(&json!("{{index .item.tags 9}}"), variables.as_object().unwrap()).is_err());
    }
}
