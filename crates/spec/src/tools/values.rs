//! Headers and variables whose values may be secrets of the worker: `Bearer env://NAME`.

use std::collections::BTreeMap;

use crate::bounds::{MAX_NAME, MAX_VALUE, MAX_VALUES};
use crate::node::Node;
use crate::suggest;

/// What stands before the name of a secret.
pub const SECRET: &str = "env://";
/// Words that keys begin with, and what stands before them in headers.
const KEYS: [&str; 10] =
    ["sk-", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "Bearer ", "Basic "];
const HINT: &str = "write `env://NAME`, and start the worker with `--tool-secret NAME`; a document \
                    is stored and shown";

/// The headers of requests.
pub(super) fn read_headers(node: &Node<'_>) -> Option<BTreeMap<String, String>> {
    read(node, |name| is_header(name).then(|| name.to_ascii_lowercase()), "the name of a header")
}

/// The variables of a program.
pub(super) fn read_variables(node: &Node<'_>) -> Option<BTreeMap<String, String>> {
    read(node, |name| is_variable(name).then(|| name.to_owned()), "the name of a variable")
}

/// Parameters of requests, which have whatever names their service gave them.
pub(super) fn read_parameters(node: &Node<'_>) -> Option<BTreeMap<String, String>> {
    let fit = |name: &str| (1..=MAX_NAME).contains(&name.chars().count());
    read(node, |name| fit(name).then(|| name.to_owned()), "the name of a parameter")
}

fn read(
    node: &Node<'_>,
    name: impl Fn(&str) -> Option<String>,
    what: &str,
) -> Option<BTreeMap<String, String>> {
    let map = node.object()?;
    if map.len() > MAX_VALUES {
        let message = format!("has {} entries, more than the {MAX_VALUES} allowed", map.len());
        return node.problem(message, "give fewer");
    }
    let mut values = BTreeMap::new();
    for (given, value) in map {
        let place = node.field(&suggest::shown(given), value);
        let Some(name) = name(given) else {
            place.problem::<()>(format!("is not {what}"), "use letters, digits, `-` and `_`");
            continue;
        };
        if let Some(value) = read_value(&place, given) {
            values.insert(name, value);
        }
    }
    Some(values)
}

fn read_value(node: &Node<'_>, name: &str) -> Option<String> {
    let value = node.text(MAX_VALUE)?;
    if value.contains(|c: char| c.is_control()) {
        return node.problem("has control characters", "write one line of text");
    }
    let mut references = value.split(SECRET);
    let plain = references.next().unwrap_or_default();
    if !value.contains(SECRET) {
        if is_key(name, plain) {
            return node.problem("looks like a key", HINT);
        }
        return Some(value);
    }
    // Checked here, so that the worker never meets a reference that it cannot read.
    if references.all(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')) {
        return Some(value);
    }
    node.problem("names no secret", HINT)
}

/// Whether a value is meant to be secret, by its name or its looks.
fn is_key(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let named = name.ends_with("token") || name.ends_with("_key") || name == "cookie";
    let looks = KEYS.iter().any(|start| value.starts_with(start));
    !value.is_empty() && (named || looks || suggest::looks_secret(&name, &[]))
}

fn is_header(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

pub(super) fn is_variable(name: &str) -> bool {
    is_header(name) && !name.contains('-') && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_by_their_names_and_their_looks() {
        for (name, value) in [
            ("Authorization", "Bearer x"),
            ("X-Api-Key", "x"),
            ("GITHUB_TOKEN", "x"),
            ("x-thing", "ghp_abc"),
            ("cookie", "a=b"),
        ] {
            assert!(is_key(name, value), "{name}");
        }
        for (name, value) in [("accept", "text/plain"), ("LANG", "C"), ("GITHUB_TOKEN", "")] {
            assert!(!is_key(name, value), "{name}");
        }
    }
}
