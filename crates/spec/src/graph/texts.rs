//! Templates in actions.

use serde_json::Value;

use crate::node::Node;
use crate::template;

pub(super) use template::read;

/// Notes every text in a value, at whatever depth, that is no template.
pub(super) fn check_all(at: &Node<'_>) -> Option<()> {
    match at.value {
        Value::String(_) => read(at).map(drop),
        Value::Array(_) => at.list(check_all).map(drop),
        Value::Object(_) => at.map(check_all).map(drop),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(()),
    }
}
