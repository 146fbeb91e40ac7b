//! Objects as Go's decoder reads them: the case of names does not matter, `null` is nothing.

use serde_json::{Map, Value};

use crate::bounds::{MAX_LINE, MAX_PROBLEMS};
use crate::node::Node;
use crate::problems::Problem;
use crate::suggest;

/// An object and where it stands.
pub(super) struct Loose<'a> {
    at: Node<'a>,
    map: &'a Map<String, Value>,
}

impl<'a> Loose<'a> {
    pub(super) fn read(at: &Node<'a>) -> Option<Self> {
        Some(Self { map: at.object()?, at: at.clone() })
    }

    /// Where it stands.
    pub(super) fn at(&self) -> &Node<'a> {
        &self.at
    }

    /// A field that has a value. Of several that differ in case only, the exact one counts.
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        let near = || self.map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        let (key, value) = self.map.get_key_value(name).or_else(near)?;
        (!value.is_null()).then(|| self.at.field(key, value))
    }

    /// The text of a field; empty if it has none.
    pub(super) fn text(&self, name: &str) -> String {
        self.get(name).and_then(|at| at.text(usize::MAX)).unwrap_or_default()
    }

    /// The text of a field that is not empty.
    pub(super) fn filled(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Warns of the fields that nothing reads. Names that begin with `/` are comments.
    pub(super) fn ignored(&self, known: &[&str], warnings: &mut Vec<Problem>) {
        let is_known = |key: &str| known.iter().any(|name| name.eq_ignore_ascii_case(key));
        let unknown = self.map.keys().filter(|key| !is_known(key) && !key.starts_with('/'));
        for key in unknown.take(MAX_PROBLEMS) {
            let at = self.at.field(&suggest::shown(key), self.at.value);
            warnings.push(at.warning("is not known and ignored", suggest::hint(key, known)));
        }
    }
}

/// The beginning of a text, as much as a description may have.
pub(super) fn line(at: &Node<'_>) -> Option<String> {
    let text: String = at.text(usize::MAX)?.chars().take(MAX_LINE).collect();
    (!text.is_empty()).then_some(text)
}
