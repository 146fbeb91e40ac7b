//! Walking a document and noting every problem on the way.
//!
//! A reader returns `None` after noting a problem and the caller goes on with the other fields, so
//! one pass finds everything. [`crate::from_json`] throws the half-read result away if anything was
//! noted; readers may therefore fill a hole with any value.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::bounds::MAX_PROBLEMS;
use crate::problems::{Problem, Problems};
use crate::suggest;

/// One value of the document and where it stands.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    /// The value itself.
    pub(crate) value: &'a Value,
    path: String,
    problems: &'a RefCell<Problems>,
}

impl<'a> Node<'a> {
    /// The whole document; what is wrong goes into `problems`.
    pub(crate) fn root(value: &'a Value, problems: &'a RefCell<Problems>) -> Self {
        Self { value, path: String::new(), problems }
    }

    /// Notes a problem of this value. Returns `None` so that a reader can end with it.
    pub(crate) fn problem<T>(
        &self,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Option<T> {
        let path = self.path.clone();
        let problem = Problem { path, message: message.into(), hint: Some(hint.into()) };
        if !self.full() {
            self.problems.borrow_mut().0.push(problem);
        }
        None
    }

    /// What somebody should know about this value, though it is no mistake.
    pub(crate) fn warning(&self, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem { path: self.path.clone(), message: message.into(), hint: Some(hint.into()) }
    }

    /// Whether there are so many problems that nobody reads more.
    fn full(&self) -> bool {
        self.problems.borrow().0.len() >= MAX_PROBLEMS
    }

    /// The value inside this one that a field name leads to.
    pub(crate) fn field(&self, name: &str, value: &'a Value) -> Self {
        let path = if self.path.is_empty() { name.into() } else { format!("{}.{name}", self.path) };
        Self { value, path, problems: self.problems }
    }

    /// The value inside this one that a position in a list leads to.
    pub(crate) fn element(&self, index: usize, value: &'a Value) -> Self {
        Self { value, path: format!("{}[{index}]", self.path), problems: self.problems }
    }

    /// A text of at most `max` characters.
    pub(crate) fn text(&self, max: usize) -> Option<String> {
        match self.value {
            Value::String(text) if text.chars().count() <= max => Some(text.clone()),
            Value::String(_) => {
                self.problem(format!("is longer than {max} characters"), "shorten it")
            }
            Value::Number(_) | Value::Bool(_) => self.wrong_type("a text", "write it in quotes"),
            _ => self.wrong_type("a text", "write one text value"),
        }
    }

    /// A text of at least one and at most `max` characters.
    pub(crate) fn filled_text(&self, max: usize) -> Option<String> {
        let text = self.text(max)?;
        if text.trim().is_empty() {
            return self.problem("is empty", "write at least one character");
        }
        Some(text)
    }

    /// A whole number inside `range`.
    pub(crate) fn integer(&self, range: &RangeInclusive<u64>) -> Option<u64> {
        let hint = format!("write a whole number from {} to {}", range.start(), range.end());
        match self.value {
            Value::Number(number) => match number.as_u64().filter(|n| range.contains(n)) {
                Some(number) => Some(number),
                None => self.problem(format!("{number} is out of range"), hint),
            },
            _ => self.wrong_type("a whole number", hint),
        }
    }

    /// [`Node::integer`] for ranges that fit 32 bits.
    pub(crate) fn small_integer(&self, range: &RangeInclusive<u64>) -> Option<u32> {
        self.integer(range).and_then(|number| u32::try_from(number).ok())
    }

    /// A number inside `range`.
    pub(crate) fn float(&self, range: &RangeInclusive<f64>) -> Option<f64> {
        let hint = format!("write a number from {} to {}", range.start(), range.end());
        match self.value.as_f64() {
            Some(number) if range.contains(&number) => Some(number),
            Some(number) => self.problem(format!("{number} is out of range"), hint),
            None => self.wrong_type("a number", hint),
        }
    }

    /// One word out of a closed list.
    pub(crate) fn choice<T: Copy>(&self, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(usize::MAX)?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.problem(
            format!("unknown {what} `{}`", suggest::shown(&text)),
            suggest::hint(&text, &names),
        )
    }

    /// True or false.
    pub(crate) fn truth(&self) -> Option<bool> {
        match self.value {
            Value::Bool(truth) => Some(*truth),
            _ => self.wrong_type("true or false", "write `true` or `false`"),
        }
    }

    /// What `read` makes of each field of an object, whatever it is called.
    pub(crate) fn map<T>(
        &self,
        read: impl Fn(&Node<'a>) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        let entry = |(name, value): (&String, &'a Value)| {
            let place = self.field(&suggest::shown(name), value);
            Some((name.clone(), read(&place)?))
        };
        Some(self.object()?.iter().filter_map(entry).collect())
    }

    /// What `read` makes of each element of a list; elements with problems are left out.
    pub(crate) fn list<T>(&self, mut read: impl FnMut(&Node<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Value::Array(values) = self.value else {
            return self.wrong_type("a list", "write one `- …` line for each element, or `[…]`");
        };
        let nodes = values.iter().enumerate().map(|(index, value)| self.element(index, value));
        Some(nodes.take_while(|node| !node.full()).filter_map(|node| read(&node)).collect())
    }

    /// [`Node::list`] of at most `max` elements.
    pub(crate) fn few<T>(
        &self,
        max: usize,
        read: impl FnMut(&Node<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.value.as_array().map_or(0, Vec::len);
        if count > max {
            return self.problem(format!("has {count} elements, more than {max}"), "list fewer");
        }
        self.list(read)
    }

    /// The fields of an object, after noting those that are not among `known`.
    pub(crate) fn fields(&'a self, known: &[&str]) -> Option<Fields<'a>> {
        let map = self.object()?;
        let unknown = map.keys().filter(|name| !known.contains(&name.as_str()));
        for name in unknown.take(MAX_PROBLEMS) {
            self.field(&suggest::shown(name), &Value::Null).unknown(name, known);
        }
        Some(Fields { node: self, map })
    }

    /// An object with whatever fields.
    pub(crate) fn object(&self) -> Option<&'a Map<String, Value>> {
        match self.value {
            Value::Object(map) => Some(map),
            _ => self.wrong_type("an object", "write `field: value` lines"),
        }
    }

    fn unknown(&self, name: &str, known: &[&str]) {
        let hint = if suggest::looks_secret(name, known) {
            "no key ever stands in a document: the worker reads keys from its environment".into()
        } else {
            suggest::hint(name, known)
        };
        self.problem::<()>("unknown field", hint);
    }

    fn wrong_type<T>(&self, wanted: impl Display, hint: impl Into<String>) -> Option<T> {
        let found = match self.value {
            Value::Null => {
                return self.problem("has no value", format!("give {wanted} or remove it"));
            }
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.problem(format!("must be {wanted}, not {found}"), hint)
    }
}

/// The fields of one object.
pub(crate) struct Fields<'a> {
    node: &'a Node<'a>,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// What `read` makes of a field that may be left out.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> Option<T> {
        self.map.get(name).and_then(|value| read(&self.node.field(name, value)))
    }

    /// [`Fields::read`] for a field that must be there.
    pub(crate) fn required<T>(
        &self,
        name: &str,
        hint: &str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> Option<T> {
        if self.has(name) {
            return self.read(name, read);
        }
        self.node.field(name, &Value::Null).problem("is missing", hint)
    }

    /// Whether the field is written, right or wrong.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }
}
