//! Which fields of an answer a client wants: `?fields=runs.id,nextPageToken`.

use prost_reflect::{Kind, MessageDescriptor};
use serde_json::Value;

use super::explain::{self, Problem};

/// A tree of names, as JSON writes them. Without any: everything.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, Fields)>);

impl Fields {
    /// Reads a list of paths; each name has to be one of the message.
    pub(super) fn read(text: &str, message: &MessageDescriptor) -> Result<Self, Problem> {
        let mut fields = Self::default();
        for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()) {
            fields.add(path, path, message)?;
        }
        Ok(fields)
    }

    fn add(&mut self, path: &str, whole: &str, message: &MessageDescriptor) -> Result<(), Problem> {
        let (name, rest) =
            path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let field = explain::field(message, name).map_err(|what| Problem::at("fields", what))?;
        let name = field.json_name();
        let place = self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), Self::default()));
            self.0.len() - 1
        });
        match (rest, field.kind()) {
            (None, _) => Ok(()),
            (Some(rest), Kind::Message(inner)) => self.0[place].1.add(rest, whole, &inner),
            (Some(_), _) => {
                Err(Problem::at("fields", format!("`{whole}`: `{name}` has no fields")))
            }
        }
    }

    /// Removes from a message what is not wanted.
    pub(super) fn keep(&self, value: &mut Value) {
        if self.0.is_empty() {
            return;
        }
        match value {
            Value::Array(list) => list.iter_mut().for_each(|item| self.keep(item)),
            Value::Object(object) => {
                object.retain(|name, _| self.0.iter().any(|(known, _)| known == name));
                for (name, inner) in &self.0 {
                    object.get_mut(name).into_iter().for_each(|value| inner.keep(value));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::transcode::Bindings;

    fn read(text: &str) -> Result<Fields, Problem> {
        let pool = &Bindings::get().unwrap().pool;
        Fields::read(text, &pool.get_message_by_name("tenure.v1.ListRunsResponse").unwrap())
    }

    #[test]
    fn what_is_not_wanted_is_left_out() {
        let whole = json!({"runs": [{"id": "a", "usage": {"model": "m", "inputTokens": "1"}, "pool": "p"}],
            "nextPageToken": "t"});
        let kept = |text: &str| {
            let mut value = whole.clone();
            read(text).unwrap().keep(&mut value);
            value
        };
        assert_eq!(kept(""), whole);
        assert_eq!(kept("next_page_token"), json!({"nextPageToken": "t"}));
        let some = json!({"runs": [{"id": "a", "usage": {"inputTokens": "1"}}]});
        assert_eq!(kept("runs.id, runs.usage.inputTokens"), some);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        assert_eq!(read("runs.idd").unwrap_err().what, "there is no `idd`; did you mean `id`?");
        assert_eq!(read("runs.id.x").unwrap_err().what, "`runs.id.x`: `id` has no fields");
    }
}
