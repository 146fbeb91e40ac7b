//! Tools that change nothing but the conversation that they are called in.

use serde_json::Value;

use crate::model::{Definition, ToolCall};

/// Tools of a conversation. They are no effects on the world: what a call gives follows from the
/// reply that it stands in, so it is neither recorded nor asked about.
pub(super) trait Control: Send + Sync {
    /// What the model is told about them.
    fn definitions(&self) -> Vec<Definition>;

    /// The result of a call, if it is of one of these. The calls of a reply come in its order.
    fn take(&mut self, call: &ToolCall) -> Option<Value>;

    /// Whether the conversation ends with the reply whose calls were taken.
    fn is_over(&self) -> bool;
}

/// None of them.
pub(super) struct Uncontrolled;

impl Control for Uncontrolled {
    fn definitions(&self) -> Vec<Definition> {
        Vec::new()
    }

    fn take(&mut self, _call: &ToolCall) -> Option<Value> {
        None
    }

    fn is_over(&self) -> bool {
        false
    }
}
