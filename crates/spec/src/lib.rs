//! The agent specification: what a user writes, its validation and its JSON Schema. Pure: no I/O,
//! no clock, no network.
//!
//! ```
//! let spec = tenure_spec::parse(
//!     "
//!     name: reader
//!     model: {provider: openai, name: gpt-5}
//!     instructions: Summarise the files.
//!     tools: [list_files, read_file]
//!     limits: {turns: 10, time: 10m}
//!     ",
//! )?;
//! assert_eq!(spec.limits.turns, 10);
//! assert_eq!(tenure_spec::parse(str::from_utf8(&spec.canonical())?)?, spec);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A document goes through three stages: `syntax` makes a value of the text, the `read` functions
//! beside the types make a [`Spec`] of the value and note every problem with its path, and
//! [`Spec::canonical`] makes the bytes that a version is addressed by. [`schema`] describes the
//! same types to editors. To add a field: add it to its struct with a doc comment (which becomes
//! its description in the schema), to the list of known fields, and to the `read` function.
#![warn(missing_docs)]

pub mod backends;
mod bounds;
mod canonical;
mod chain;
pub mod conversation;
mod data;
pub mod expression;
pub mod graph;
mod limits;
mod model;
mod node;
mod output;
pub mod policy;
mod problems;
mod schema;
mod script;
mod span;
mod spec;
mod suggest;
mod syntax;
pub mod team;
pub mod template;
mod tools;
mod window;

use std::cell::RefCell;

use serde_json::Value;

pub use backends::Backends;
pub use bounds::{MAX_DOCUMENT_BYTES, MAX_NESTING};
pub use data::DataType;
pub use expression::Expression;
pub use graph::{Graph, GraphNode};
pub use limits::{AtLimit, Limits, Retry};
pub use model::{Model, Provider};
pub use policy::Policy;
pub use problems::{Problem, Problems};
pub use schema::schema;
pub use script::{Script, ScriptedCall, ScriptedPrice, ScriptedUsage, Turn};
pub use span::{InvalidSpan, Span};
pub use spec::{Kind, Spec};
pub use team::Team;
pub use tools::{
    AgentTool, CommandTool, Effect, Elicitation, Grant, HookTool, Isolation, Manner, McpAuth,
    McpIdentity, McpTools, OpenApiTools, SECRET, Tool,
};
pub use window::Window;

use node::Node;

/// A document that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it says.
    pub spec: Spec,
    /// What its author should know though it is no mistake: parts of another system's document
    /// that are not taken over.
    pub warnings: Vec<Problem>,
}

/// Reads a document, YAML or JSON: a specification, or a task chain of contenox. A text that cannot
/// be read at all has one problem, with line and column; else all problems (up to 100) are reported
/// at once.
pub fn read(text: &str) -> Result<Document, Problems> {
    checked(&syntax::read(text)?)
}

/// [`read`] without the warnings.
pub fn parse(text: &str) -> Result<Spec, Problems> {
    read(text).map(|document| document.spec)
}

/// Reads a document that is a value already, under the same rules as [`parse`].
#[expect(clippy::needless_pass_by_value, reason = "a document is handed over, not lent")]
pub fn from_json(value: Value) -> Result<Spec, Problems> {
    checked(&syntax::recheck(&value)?).map(|document| document.spec)
}

/// Reads a document that is nothing but a policy, YAML or JSON.
pub fn policy(text: &str) -> Result<Policy, Problems> {
    alone(text, Policy::read)
}

/// Reads a document that is nothing but the script of a scripted model, YAML or JSON.
pub fn script(text: &str) -> Result<Script, Problems> {
    alone(text, Script::read)
}

/// Reads a document that is a part of others.
fn alone<T>(text: &str, read: impl FnOnce(&Node<'_>) -> Option<T>) -> Result<T, Problems> {
    let value = syntax::read(text)?;
    let problems = RefCell::new(Problems::default());
    let part = read(&Node::root(&value, &problems));
    match (part, problems.take()) {
        (Some(part), Problems(none)) if none.is_empty() => Ok(part),
        (_, problems) => Err(problems),
    }
}

fn checked(value: &Value) -> Result<Document, Problems> {
    if !value.is_object() {
        let hint = "write `field: value` lines, `name` among them";
        return Err(Problems::of_document("document must be an object", hint));
    }
    let problems = RefCell::new(Problems::default());
    let mut warnings = Vec::new();
    let root = Node::root(value, &problems);
    let spec =
        if chain::is_chain(value) { chain::read(&root, &mut warnings) } else { Spec::read(&root) };
    match (spec, problems.take()) {
        (Some(spec), Problems(none)) if none.is_empty() => {
            // The canonical form is what is stored and read again, so it keeps the limit too.
            syntax::check_size(spec.canonical().len())?;
            Ok(Document { spec, warnings })
        }
        (_, problems) => Err(problems),
    }
}
