//! Where a run goes after a node.

use schemars::JsonSchema;
use serde::Serialize;

use super::END;
use crate::bounds::MAX_NAME;
use crate::expression;
use crate::node::Node;

/// One way out of a node. They are tried in their order, and the first that fits is taken; a run
/// that finds none fails.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// When this way is taken. Without it always, so it stands last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Condition")]
    pub when: Option<Condition>,
    /// Name of the next node, or `end`.
    #[schemars(length(min = 1, max = MAX_NAME))]
    pub to: String,
}

/// What the value of a node is compared with. The value is a text: the reply of a `prompt` (as it
/// was parsed: `true`, `42`, `8.26`, `6-8`), the word of a `command`, the transition of a hook,
/// `executed` after a `chat`, `ok` after an `embed`, a `map` and a `parallel`, `converted` after an
/// `openai_response`, `noop` after a `pass`, the decision after an `interrupt`, and after a `tool`, a
/// `call` and an `agent` the text of what they gave, or `ok` if that is no text. A text is read as a number by the first number in it; one without fails
/// the run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It is this text.
    Equals(String),
    /// This text stands in it.
    Contains(String),
    /// It begins with this text.
    StartsWith(String),
    /// It ends with this text.
    EndsWith(String),
    /// It is a number above this one.
    Above(f64),
    /// It is a number below this one.
    Below(f64),
    /// It is a number from the first of these two to the second, both included.
    Between([f64; 2]),
    /// This holds: a condition in CEL over `input` and `output` (those of the node), `value` (as above)
    /// and `vars` (the variables, as templates know them). One that cannot be told, for instance
    /// because a field is not there, fails the run.
    Expression(String),
}

const CONDITIONS: [&str; 8] =
    ["equals", "contains", "starts_with", "ends_with", "above", "below", "between", "expression"];
/// What an expression knows.
const VARIABLES: [&str; 4] = ["input", "output", "value", "vars"];
const HINT: &str =
    "write one condition, such as `{equals: yes}`, `{above: 5}` or `{between: [1, 5]}`";

impl Transition {
    /// The way that is always taken.
    pub(crate) fn always(to: impl Into<String>) -> Self {
        Self { when: None, to: to.into() }
    }

    pub(super) fn read(at: &Node<'_>) -> Self {
        let Some(fields) = at.fields(&["when", "to"]) else {
            return Self::always(END);
        };
        let when = fields.read("when", Condition::read);
        let to =
            fields.required("to", "name the next node, or `end`", |at| at.filled_text(MAX_NAME));
        Self { when, to: to.unwrap_or_else(|| END.into()) }
    }
}

impl Condition {
    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&CONDITIONS)?;
        let text = |name| fields.read(name, |at| at.text(usize::MAX));
        let number = |name| fields.read(name, |at| at.float(&(f64::MIN..=f64::MAX)));
        let found = [
            text("equals").map(Self::Equals),
            text("contains").map(Self::Contains),
            text("starts_with").map(Self::StartsWith),
            text("ends_with").map(Self::EndsWith),
            number("above").map(Self::Above),
            number("below").map(Self::Below),
            fields.read("between", read_bounds).map(Self::Between),
            fields.read("expression", |at| expression::read(at, &VARIABLES)).map(Self::Expression),
        ];
        if CONDITIONS.iter().filter(|name| fields.has(name)).count() != 1 {
            return at.problem("must be exactly one condition", HINT);
        }
        found.into_iter().flatten().next()
    }
}

fn read_bounds(at: &Node<'_>) -> Option<[f64; 2]> {
    let hint = "write the lower and the upper bound, such as `[1, 5]`";
    let bounds = at.list(|at| at.float(&(f64::MIN..=f64::MAX)))?;
    match bounds[..] {
        [low, high] if low <= high => Some([low, high]),
        [_, _] => at.problem("has its bounds the wrong way round", hint),
        _ => at.problem("must be two numbers", hint),
    }
}
