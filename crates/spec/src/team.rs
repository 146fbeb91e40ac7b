//! Teams: several members in one conversation, and who of them speaks next.

mod handoff;
mod member;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::bounds::{MAX_HANDOFFS, MAX_LINE, MAX_MEMBERS, MAX_NAME, MAX_VARIABLES, TURNS};
use crate::expression;
use crate::model::Model;
use crate::node::{Fields, Node};
use crate::span::Span;
use crate::suggest;

pub use handoff::{ANYBODY, Handoff};
pub use member::Member;

/// Where a hand-over leads when the team has done its work; no member can have this name.
pub const END: &str = "end";

/// The person that a team works for: who gave the run its input, and may be asked by the team. No
/// member can have this name.
pub const PERSON: &str = "person";

/// Replies of models that a run of a team may have, unless its `limits.turns` says otherwise: its
/// members use tools, and others may choose among them.
pub(crate) const REPLIES: u32 = 200;

/// Several members who work on one conversation. Each sees all that was said; what its tools gave it
/// is its own. A run begins with the `entry`; its output is the last thing that a member said.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// The members.
    #[schemars(length(min = 2, max = MAX_MEMBERS))]
    pub members: Vec<Member>,
    /// Name of the member that speaks first. Without it, the first of the list.
    #[serde(default)]
    pub entry: String,
    /// Who speaks next, where no hand-over says so.
    pub pattern: Pattern,
    /// Hand-overs by rule, with every pattern: they are looked at after each turn, in their order, and
    /// the first that fits is taken.
    #[serde(default)]
    #[schemars(length(max = MAX_HANDOFFS))]
    pub handoffs: Vec<Handoff>,
    /// How the person is asked, if a hand-over leads to `person`.
    #[serde(default)]
    pub person: Person,
    /// Who chooses, if the pattern is `auto`.
    #[serde(default)]
    pub selector: Selector,
    /// Turns of all members together, after which a run ends with what was said last.
    #[schemars(range(min = *TURNS.start(), max = *TURNS.end()))]
    #[serde(default = "default_turns")]
    pub turns: u32,
    /// Ends a run after a message for which it holds: a condition in CEL over `message` (`message.from`
    /// and `message.text`), `variables` and `turn` (the turns so far). One that cannot be told fails the
    /// run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub until: Option<String>,
    /// What all members know and conditions look at, with its first values. Instructions are templates
    /// over it. At most 100 variables.
    #[serde(default)]
    pub variables: Map<String, Value>,
    /// What a run gives.
    #[serde(default)]
    pub output: Gives,
}

/// Who speaks next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Only the `handoffs` say so: where none fits, the run ends.
    #[default]
    Rules,
    /// The model of the member that speaks: it has a tool `transfer_to_NAME` for each of the others.
    /// Where it hands over to nobody, the run ends.
    Model,
    /// A model that reads the conversation and knows what each member is good for. It may end the run.
    Auto,
    /// The next of the list; after the last one the first.
    RoundRobin,
    /// Any of the others. The seed is recorded, so a replay comes to the same.
    Random,
}

/// How a person is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Person {
    /// Who is to answer, such as `ann@example.com` or `role:lead`; anybody unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = MAX_NAME))]
    pub assignee: Option<String>,
    /// How long there is time to answer. Then the run ends with what was said last. Without it, for
    /// ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub timeout: Option<Span>,
}

/// The model that chooses who speaks next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Selector {
    /// The language model. Without it the team's, or else the worker's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Model")]
    pub model: Option<Model>,
    /// What it is told beside the names and descriptions of the members. At most 2000 characters.
    #[schemars(length(max = MAX_LINE))]
    pub instructions: String,
}

/// What a run of a team gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gives {
    /// The text of the last message of a member.
    #[default]
    Message,
    /// `{messages: [{from, text}], variables}`: all of it.
    Conversation,
}

const FIELDS: [&str; 10] = [
    "members",
    "entry",
    "pattern",
    "handoffs",
    "person",
    "selector",
    "turns",
    "until",
    "variables",
    "output",
];
const PATTERNS: [(&str, Pattern); 5] = [
    ("rules", Pattern::Rules),
    ("model", Pattern::Model),
    ("auto", Pattern::Auto),
    ("round_robin", Pattern::RoundRobin),
    ("random", Pattern::Random),
];
/// What conditions know.
const KNOWN: [&str; 3] = ["message", "variables", "turn"];

fn default_turns() -> u32 {
    20
}

impl Team {
    pub(crate) fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&FIELDS)?;
        let variables = fields.read("variables", read_variables).unwrap_or_default();
        let members = fields.required("members", "write at least two members", read_members);
        let members = members.unwrap_or_default();
        let names = names(&members);
        let hint = "say who speaks next, such as `pattern: model`";
        let pattern = fields.required("pattern", hint, |at| at.choice("pattern", &PATTERNS));
        let entry = fields.read("entry", |at| read_among(at, "member", &names));
        refuse_unknown(&fields, &members, &names, &variables);
        let team = Self {
            entry: entry.or_else(|| names.first().map(ToString::to_string)).unwrap_or_default(),
            pattern: pattern.unwrap_or_default(),
            handoffs: fields
                .read("handoffs", |at| at.few(MAX_HANDOFFS, |at| Handoff::read(at, &names)))
                .unwrap_or_default(),
            person: fields.read("person", Person::read).unwrap_or_default(),
            selector: fields.read("selector", Selector::read).unwrap_or_default(),
            turns: fields.read("turns", |at| at.small_integer(&TURNS)).unwrap_or(default_turns()),
            until: fields.read("until", |at| expression::read(at, &KNOWN)),
            output: fields.read("output", Gives::read).unwrap_or_default(),
            variables,
            members,
        };
        if pattern == Some(Pattern::Rules) && !fields.has("handoffs") {
            let hint = "write them, or let a model choose: `pattern: model`";
            return at
                .field("handoffs", &Value::Null)
                .problem("are missing: the pattern is `rules`", hint);
        }
        Some(team)
    }
}

fn read_members(at: &Node<'_>) -> Option<Vec<Member>> {
    let members = at.few(MAX_MEMBERS, Member::read)?;
    let mut seen = BTreeSet::new();
    for (place, member) in members.iter().enumerate() {
        // A hole is one problem, told when it was read.
        if !member.name.is_empty() && !seen.insert(member.name.as_str()) {
            let message = format!("the name `{}` is taken", member.name);
            at.element(place, at.value).problem::<()>(message, "give each a name of its own");
        }
    }
    if at.value.as_array().is_some_and(|members| members.len() < 2) {
        return at.problem("is no team", "write at least two members, or use `kind: agent`");
    }
    Some(members)
}

/// Each once.
fn names(members: &[Member]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for member in members {
        if !member.name.is_empty() && !names.contains(&member.name.as_str()) {
            names.push(&member.name);
        }
    }
    names
}

fn read_variables(at: &Node<'_>) -> Option<Map<String, Value>> {
    let variables = at.object()?;
    if variables.len() > MAX_VARIABLES {
        let message = format!("has {} variables, more than {MAX_VARIABLES}", variables.len());
        return at.problem(message, "put what belongs together into one object");
    }
    Some(variables.clone())
}

/// What members may hand over to and set must be there.
fn refuse_unknown(
    fields: &Fields<'_>,
    members: &[Member],
    names: &[&str],
    variables: &Map<String, Value>,
) {
    let people: Vec<&str> = names.iter().copied().chain([PERSON]).collect();
    let variables: Vec<&str> = variables.keys().map(String::as_str).collect();
    fields.read("members", |at| {
        for (place, member) in members.iter().enumerate() {
            let at = at.element(place, at.value);
            let transfers = member.transfers.iter().flatten();
            refuse(&at.field("transfers", at.value), "member", transfers, &people);
            refuse(&at.field("sets", at.value), "variable", member.sets.iter(), &variables);
        }
        Some(())
    });
}

fn refuse<'a>(at: &Node<'_>, what: &str, names: impl Iterator<Item = &'a String>, known: &[&str]) {
    for name in names.filter(|name| !known.contains(&name.as_str())) {
        let message = format!("unknown {what} `{}`", suggest::shown(name));
        at.problem::<()>(message, suggest::hint(name, known));
    }
}

/// One of these names.
fn read_among(at: &Node<'_>, what: &str, names: &[&str]) -> Option<String> {
    let names: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
    at.choice(what, &names).map(ToOwned::to_owned)
}

impl Person {
    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["assignee", "timeout"])?;
        let assignee = fields.read("assignee", |at| at.filled_text(MAX_NAME));
        Some(Self { assignee, timeout: fields.read("timeout", Span::read_filled) })
    }
}

impl Selector {
    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["model", "instructions"])?;
        let instructions = fields.read("instructions", |at| at.text(MAX_LINE)).unwrap_or_default();
        Some(Self { model: fields.read("model", Model::read), instructions })
    }
}

impl Gives {
    fn read(at: &Node<'_>) -> Option<Self> {
        at.choice("output", &[("message", Self::Message), ("conversation", Self::Conversation)])
    }
}
