//! Hand-overs by rule.

use schemars::JsonSchema;
use serde::Serialize;

use super::{END, KNOWN, PERSON, read_among};
use crate::expression;
use crate::node::Node;

/// Whoever spoke.
pub const ANYBODY: &str = "*";

/// A hand-over: after a turn of `from` it is the turn of `to`, if `when` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handoff {
    /// Name of the member that spoke; `person`, whose answer without a rule goes back to the member
    /// that asked; or `*` for every member.
    #[serde(default = "anybody")]
    pub from: String,
    /// Name of the member that speaks next; `person`, who is asked in an interrupt and whose answer is
    /// the next message; or `end`.
    pub to: String,
    /// When it is taken: a condition in CEL over `message` (`message.from` and `message.text`),
    /// `variables` and `turn` (the turns so far). Without it always. One that cannot be told fails the
    /// run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub when: Option<String>,
}

fn anybody() -> String {
    ANYBODY.into()
}

impl Handoff {
    pub(super) fn read(at: &Node<'_>, members: &[&str]) -> Option<Self> {
        let fields = at.fields(&["from", "to", "when"])?;
        let froms = [members, &[PERSON, ANYBODY]].concat();
        let tos = [members, &[PERSON, END]].concat();
        let from = fields.read("from", |at| read_among(at, "member", &froms));
        let hint = "name a member, `person` or `end`";
        let to = fields.required("to", hint, |at| {
            if at.value == PERSON && from.as_deref() == Some(PERSON) {
                return at.problem("the person has just spoken", "name a member, or `end`");
            }
            read_among(at, "member", &tos)
        });
        let when = fields.read("when", |at| expression::read(at, &KNOWN));
        Some(Self { from: from.unwrap_or_else(anybody), to: to?, when })
    }
}
