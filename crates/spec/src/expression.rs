//! Expressions: conditions in CEL, Google's Common Expression Language
//! (<https://github.com/google/cel-spec>), over JSON values.

use std::sync::Arc;

use cel::{Context, Program, Value as Cel};
use serde_json::Value;

use crate::bounds::MAX_EXPRESSION;
use crate::node::Node;
use crate::suggest;

/// A condition that was read: its syntax is right, and it names known variables only.
pub struct Expression {
    program: Program,
}

impl Expression {
    /// Reads a condition; the error says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > MAX_EXPRESSION {
            return Err(format!("is longer than {MAX_EXPRESSION} bytes"));
        }
        let program = Program::compile(text).map_err(|errors| told(&errors))?;
        Ok(Self { program })
    }

    /// Whether it holds, given these variables. An expression that fails (a field that is not there,
    /// two types that cannot be compared) or gives no truth value is an error: whoever asks must not
    /// take it for a no.
    pub fn holds(&self, variables: &[(&str, Value)]) -> Result<bool, String> {
        let mut context = Context::default();
        for (name, value) in variables {
            context.add_variable_from_value(*name, of(value));
        }
        match self.program.execute(&context) {
            Ok(Cel::Bool(truth)) => Ok(truth),
            Ok(_) => Err("gives no truth value".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A variable that it names and that is not among `known`.
    fn unknown(&self, known: &[&str]) -> Option<String> {
        let references = self.program.references();
        let mut unknown: Vec<_> =
            references.variables().into_iter().filter(|name| !known.contains(name)).collect();
        unknown.sort_unstable();
        unknown.first().map(|name| (*name).to_owned())
    }
}

/// The text of an expression over the variables `known`.
pub(crate) fn read(node: &Node<'_>, known: &[&str]) -> Option<String> {
    let text = node.filled_text(usize::MAX)?;
    match Expression::read(&text) {
        Err(why) => {
            let hint = format!("write a condition in CEL over {}", known.join(", "));
            node.problem(format!("is no condition: {why}"), hint)
        }
        Ok(expression) => match expression.unknown(known) {
            Some(name) => node.problem(
                format!("unknown variable `{}`", suggest::shown(&name)),
                suggest::hint(&name, known),
            ),
            None => Some(text),
        },
    }
}

/// The first problem of a text, without the picture of it.
fn told(errors: &cel::ParseErrors) -> String {
    let first = errors.errors.first();
    first.map_or_else(|| "cannot be read".into(), |error| error.msg.clone())
}

/// Whole numbers are CEL's `int`, whatever their sign, so that they compare with literals.
fn of(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cel::Int(whole),
            (None, float) => Cel::Float(float.unwrap_or_default()),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(values) => Cel::List(Arc::new(values.iter().map(of).collect())),
        Value::Object(map) => {
            let entries = map.iter().map(|(name, value)| (name.clone(), of(value)));
            Cel::from(entries.collect::<std::collections::HashMap<String, Cel>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(text: &str) -> Result<bool, String> {
        let args = json!({"to": "ann@example.com", "count": 3, "share": 0.5, "tags": ["a", "b"]});
        Expression::read(text)?.holds(&[("args", args), ("effect", json!("once"))])
    }

    #[test]
    fn conditions_look_at_values() {
        for (text, truth) in [
            ("effect == 'once' && args.count > 2", true),
            ("args.to.endsWith('@example.com')", true),
            ("args.to.matches('^bob@')", false),
            ("args.share < 1 && args.count < 3.5", true),
            ("'b' in args.tags && size(args.tags) == 2", true),
            ("has(args.cc) && args.cc != ''", false),
            ("args.tags.exists(t, t == 'c')", false),
        ] {
            assert_eq!(holds(text), Ok(truth), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_an_error() {
        for text in ["args.cc == ''", "args.to > 3", "args.count", "nobody == 1", "1 +", "'", ""] {
            assert!(holds(text).is_err(), "{text}");
        }
        let deep = "(".repeat(1_000) + "1" + &")".repeat(1_000);
        assert!(Expression::read(&deep).is_err());
        assert!(Expression::read(&"!".repeat(3_000)).is_err());
    }
}
