//! Backends of models and their pools: what an operator tells a worker, in TOML.

mod backend;
mod check;
mod pool;

use std::cell::RefCell;

use serde_json::Value;

use crate::bounds::{MAX_BACKENDS, MAX_DOCUMENT_BYTES};
use crate::node::Node;
use crate::problems::Problems;

pub use backend::{Backend, KeyPlace, Offer};
pub use pool::{Pool, Purpose, Routing};

/// The backends that a worker may ask, and how they are grouped.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backends {
    /// The backends.
    pub backends: Vec<Backend>,
    /// The pools, whose backends are all among `backends`.
    pub pools: Vec<Pool>,
}

impl Backends {
    /// Reads a TOML document. What is no TOML has one problem, with its line; else all problems (up
    /// to 100) are reported at once.
    pub fn read(text: &str) -> Result<Self, Problems> {
        if text.len() > MAX_DOCUMENT_BYTES {
            let message = format!("has more than {MAX_DOCUMENT_BYTES} bytes");
            return Err(Problems::of_document(message, "name fewer backends"));
        }
        let value: Value = toml::from_str(text).map_err(|error| {
            Problems::of_document(error.to_string().trim_end(), "write TOML: `[[backend]]` lines")
        })?;
        let problems = RefCell::new(Problems::default());
        let all = Self::of(&Node::root(&value, &problems));
        match (all, problems.take()) {
            (Some(all), Problems(none)) if none.is_empty() => Ok(all),
            (_, problems) => Err(problems),
        }
    }

    fn of(document: &Node<'_>) -> Option<Self> {
        let fields = document.fields(&["backend", "pool"])?;
        let hint = "write at least one `[[backend]]` with `name` and `provider`";
        let backends = fields
            .required("backend", hint, |at| at.few(MAX_BACKENDS, |at| Some(Backend::read(at))));
        let pools = fields.read("pool", |at| at.few(MAX_BACKENDS, |at| Some(Pool::read(at))));
        let all = Self { backends: backends?, pools: pools.unwrap_or_default() };
        fields.read("backend", |at| check::backends(at, &all));
        fields.read("pool", |at| check::pools(at, &all));
        Some(all)
    }

    /// The backend of this name.
    pub fn backend(&self, name: &str) -> Option<&Backend> {
        self.backends.iter().find(|backend| backend.name == name)
    }
}
