//! What versions of contenox after the one whose chains are compiled have added.
//!
//! A field that only tunes a call is passed over with a warning. A task that would do something
//! else without the feature becomes a node that fails, for a wrong answer is worse than none.

use crate::graph::Action;
use crate::node::Node;
use crate::problems::Problem;

const HANDLERS: [&str; 4] = ["execute_tool_calls", "tools", "route", "parse_key_value"];
const OPERATOR: &str = "edge_traversed_at_least";
/// Words that stand in double braces before Go's templates are read.
const MACROS: [&str; 6] = ["var:", "now", "date", "edge_count:", "chain:", "hookservice:"];
/// Fields of `execute_config` that tune a call.
pub(super) const TUNING: [&str; 12] = [
    "pass_clients_tools",
    "think",
    "shift",
    "retry_policy",
    "compact_policy",
    "tools_policies",
    "hook_policies",
    "hide_tools",
    "tools",
    "hooks",
    "max_tokens",
    "fallback",
];

/// Whether a handler is known, but not executed.
pub(super) fn is_handler(name: &str) -> bool {
    HANDLERS.contains(&name)
}

/// Whether an operator is known, but not tried.
pub(super) fn is_operator(name: &str) -> bool {
    name == OPERATOR
}

/// The branch is never taken.
pub(super) fn operator(at: &Node<'_>, name: &str) -> Problem {
    at.field("operator", at.value).warning(
        format!("`{name}` is of a later version of contenox: the branch is never taken"),
        "loops have a bound of their own",
    )
}

/// A task that needs `feature`: the action and template that take its place.
pub(super) fn instead(
    at: &Node<'_>,
    feature: &str,
    warnings: &mut Vec<Problem>,
) -> (Action, Option<String>) {
    let message = format!("{feature} is of a later version of contenox");
    warnings.push(at.warning(
        format!("{message}: the task fails when a run comes to it"),
        "use the handlers of the reference, or write a graph of your own",
    ));
    (Action::Fail, Some(format!("{message}, which is not executed")))
}

/// A feature that is passed over.
pub(super) fn passed_over(at: &Node<'_>, feature: &str) -> Problem {
    let message = format!("{feature} is of a later version of contenox, and passed over");
    at.warning(message, "remove it if it does not matter")
}

/// Whether a text has macros such as `{{var:model}}`.
pub(super) fn has_macro(text: &str) -> bool {
    let starts = |rest: &str| MACROS.iter().any(|word| rest.trim_start().starts_with(word));
    text.split("{{").skip(1).any(starts)
}
