//! A pool: backends that answer for each other.

use serde::Serialize;

use crate::bounds::{FAILURES, MAX_BACKENDS, MAX_LINE, MAX_NAME};
use crate::node::{Fields, Node};
use crate::span::Span;

/// Failures in a row after which a backend is left alone, unless its pool says otherwise: one or two
/// are everyday life, and five in a row have cost nobody more than a few seconds each.
const USUAL_FAILURES: u32 = 5;
/// How long it is left alone at first: servers restart in less.
const USUAL_PAUSE: Span = Span::seconds(30);

/// Backends that answer for each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// Its name, unique in the file. Specifications use it.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Which of its backends is asked.
    pub policy: Routing,
    /// Names of its backends, in the order in which they are preferred.
    pub backends: Vec<String>,
    /// Models that are kept pulled on those of its backends that are Ollama servers. The first is
    /// asked where a specification names none.
    pub models: Vec<String>,
    /// Whether models that nobody declares are removed from its Ollama servers.
    pub remove_undeclared: bool,
    /// Failures in a row after which a backend is left alone.
    pub failures: u32,
    /// How long it is left alone then.
    pub pause: Span,
}

/// What a pool is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Replies to conversations.
    #[default]
    Chat,
    /// Vectors of texts.
    Embed,
}

/// Which of a pool's backends is asked; see docs/models.md.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// The first that has the model, and no other.
    Fixed,
    /// Each in its turn.
    RoundRobin,
    /// The one with the fewest calls open for what it takes.
    LeastBusy,
    /// The one that began to answer soonest lately.
    LowestLatency,
    /// The first that is well.
    #[default]
    Fallback,
}

const PURPOSES: [(&str, Purpose); 2] = [("chat", Purpose::Chat), ("embed", Purpose::Embed)];
const POLICIES: [(&str, Routing); 5] = [
    ("fixed", Routing::Fixed),
    ("round_robin", Routing::RoundRobin),
    ("least_busy", Routing::LeastBusy),
    ("lowest_latency", Routing::LowestLatency),
    ("fallback", Routing::Fallback),
];
const FIELDS: [&str; 8] =
    ["name", "purpose", "policy", "backends", "models", "remove_undeclared", "failures", "pause"];

impl Pool {
    /// Always a pool, if only a hole.
    pub(super) fn read(at: &Node<'_>) -> Self {
        let hole = Self::of(String::new(), Vec::new());
        at.fields(&FIELDS).map_or(hole, |fields| Self::read_fields(&fields))
    }

    fn read_fields(fields: &Fields<'_>) -> Self {
        let models = |at: &Node<'_>| at.few(MAX_BACKENDS, |at| at.filled_text(MAX_LINE));
        let name = fields.required("name", "give the pool a name", |at| at.filled_text(MAX_NAME));
        let purpose = fields.read("purpose", |at| at.choice("purpose", &PURPOSES));
        let policy = fields.read("policy", |at| at.choice("policy", &POLICIES));
        let backends = fields.required("backends", "name its backends", read_members);
        let usual = Self::of(name.unwrap_or_default(), backends.unwrap_or_default());
        Self {
            purpose: purpose.unwrap_or_default(),
            policy: policy.unwrap_or_default(),
            models: fields.read("models", models).unwrap_or_default(),
            remove_undeclared: fields.read("remove_undeclared", Node::truth).unwrap_or_default(),
            failures: fields
                .read("failures", |at| at.small_integer(&FAILURES))
                .unwrap_or(usual.failures),
            pause: fields.read("pause", Span::read_filled).unwrap_or(usual.pause),
            ..usual
        }
    }

    /// A pool of these backends, with the usual rules.
    pub fn of(name: String, backends: Vec<String>) -> Self {
        Self {
            name,
            purpose: Purpose::default(),
            policy: Routing::default(),
            backends,
            models: Vec::new(),
            remove_undeclared: false,
            failures: USUAL_FAILURES,
            pause: USUAL_PAUSE,
        }
    }
}

fn read_members(at: &Node<'_>) -> Option<Vec<String>> {
    if at.value.as_array().is_some_and(Vec::is_empty) {
        return at.problem("is empty", "name at least one backend");
    }
    at.few(MAX_BACKENDS, |at| at.filled_text(MAX_NAME))
}
