//! `http_request`: the hosts that it may reach.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Tool;
use crate::bounds::{MAX_HOST, MAX_HOSTS};
use crate::node::{Fields, Node};

pub(super) const NAME: &str = "http_request";
pub(super) const HOSTS_HINT: &str =
    "list the hosts it may reach: `{name: http_request, hosts: [api.example.com]}`";
const HOST: &str = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$";

pub(super) fn read(fields: &Fields<'_>) -> Option<Tool> {
    let mut hosts = fields.required("hosts", HOSTS_HINT, read_hosts)?;
    // The list is a set: its order means nothing, so it must not change the digest.
    hosts.sort_unstable();
    Some(Tool::HttpRequest { hosts })
}

fn read_hosts(node: &Node<'_>) -> Option<Vec<String>> {
    match node.value.as_array().map_or(1, Vec::len) {
        0 => return node.problem("is empty", HOSTS_HINT),
        count if count > MAX_HOSTS => {
            let message = format!("has {count} hosts, more than the {MAX_HOSTS} allowed");
            return node.problem(message, "list fewer, or split the agent");
        }
        _ => {}
    }
    let mut seen = BTreeSet::new();
    node.list(|node| {
        let host = read_host(node)?;
        if seen.insert(host.clone()) {
            return Some(host);
        }
        node.problem(format!("host `{host}` is listed twice"), "remove one of the two")
    })
}

fn read_host(node: &Node<'_>) -> Option<String> {
    let host = node.text(MAX_HOST)?.to_ascii_lowercase();
    if host.split('.').all(is_label) {
        return Some(host);
    }
    let hint = "write the name alone, such as `api.example.com`: no scheme, port, path or wildcard";
    node.problem("is not a host name", hint)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

pub(super) fn schema() -> Value {
    json!({
        "description": "Makes HTTP requests to listed hosts and to no other.",
        "type": "object",
        "properties": {
            "name": {"description": "Name of the tool.", "const": NAME},
            "hosts": {
                "description": "Names of the hosts that may be reached: no scheme, port, path or wildcard.",
                "type": "array",
                "items": {"type": "string", "maxLength": MAX_HOST, "pattern": HOST},
                "minItems": 1,
                "maxItems": MAX_HOSTS,
                "uniqueItems": true,
            },
        },
        "required": ["name", "hosts"],
        "additionalProperties": false,
    })
}
