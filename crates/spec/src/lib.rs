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

mod bounds;
mod canonical;
mod limits;
mod model;
mod node;
mod output;
mod problems;
mod schema;
mod script;
mod span;
mod spec;
mod suggest;
mod syntax;
mod tools;

use std::cell::RefCell;

use serde_json::Value;

pub use bounds::{MAX_DOCUMENT_BYTES, MAX_NESTING};
pub use limits::{Limits, Retry};
pub use model::{Model, Provider};
pub use problems::{Problem, Problems};
pub use schema::schema;
pub use script::{Script, ScriptedCall, Turn};
pub use span::{InvalidSpan, Span};
pub use spec::{Kind, Spec};
pub use tools::Tool;

use node::Node;

/// Reads a document, YAML or JSON. A text that cannot be read at all has one problem, with line
/// and column; else all problems (up to 100) are reported at once.
pub fn parse(text: &str) -> Result<Spec, Problems> {
    checked(&syntax::read(text)?)
}

/// Reads a document that is a value already, under the same rules as [`parse`].
#[expect(clippy::needless_pass_by_value, reason = "a document is handed over, not lent")]
pub fn from_json(value: Value) -> Result<Spec, Problems> {
    checked(&syntax::recheck(&value)?)
}

fn checked(value: &Value) -> Result<Spec, Problems> {
    if !value.is_object() {
        let hint = "write `field: value` lines, `name` among them";
        return Err(Problems::of_document("document must be an object", hint));
    }
    let problems = RefCell::new(Problems::default());
    let spec = Spec::read(&Node::root(value, &problems));
    match (spec, problems.into_inner()) {
        (Some(spec), Problems(none)) if none.is_empty() => {
            // The canonical form is what is stored and read again, so it keeps the limit too.
            syntax::check_size(spec.canonical().len())?;
            Ok(spec)
        }
        (_, problems) => Err(problems),
    }
}
