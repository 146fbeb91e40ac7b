//! The functions that a template calls. Go refuses unknown ones when it reads a template, the
//! library only when it comes to them.

use gotmpl::parse::{BranchNode, Expr, ListNode, Node, Parser, PipeNode};
use gotmpl::{TemplateError, Value as GoValue};
use serde_json::Value;

/// What Go has built in, and [`json`].
const KNOWN: [&str; 20] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "json", "le", "len", "lt", "ne", "not",
    "or", "print", "printf", "println", "slice", "urlquery",
];

/// The first function in a template that there is not, and its line.
pub(super) fn unknown(text: &str) -> Option<(String, usize)> {
    let (tree, defines) = Parser::with_name(None, text, "{{", "}}").ok()?.parse().ok()?;
    list(&tree).or_else(|| defines.iter().find_map(|define| list(&define.body)))
}

type Found = Option<(String, usize)>;

/// The parser ends at a hundred levels, so this does.
fn list(nodes: &ListNode) -> Found {
    nodes.nodes.iter().find_map(|node| match node {
        Node::List(nodes) => list(nodes),
        Node::Action(action) => pipe(&action.pipe),
        Node::If(branch) | Node::Range(branch) | Node::With(branch) => self::branch(branch),
        Node::Template(template) => template.pipe.as_ref().and_then(pipe),
        Node::Define(define) => list(&define.body),
        _ => None,
    })
}

fn branch(branch: &BranchNode) -> Found {
    let inside = || list(&branch.body);
    let otherwise = || branch.else_body.as_ref().and_then(list);
    pipe(&branch.pipe).or_else(inside).or_else(otherwise)
}

fn pipe(pipe: &PipeNode) -> Found {
    pipe.commands.iter().flat_map(|command| &command.args).find_map(expression)
}

fn expression(expression: &Expr) -> Found {
    match expression {
        Expr::Identifier(place, name) if !KNOWN.contains(&name.as_str()) => {
            Some((name.to_string(), place.line))
        }
        Expr::Pipe(_, inner) => pipe(inner),
        Expr::Chain(_, inner, _) => self::expression(inner),
        _ => None,
    }
}

/// A value as JSON, for models and tools: Go would print an object as `map[a:1]`.
pub(super) fn json(values: &[GoValue]) -> Result<GoValue, TemplateError> {
    match values {
        [value] => Ok(GoValue::String(of(value).to_string().into())),
        _ => Err(TemplateError::Exec("json takes one value".into())),
    }
}

fn of(value: &GoValue) -> Value {
    match value {
        GoValue::Nil | GoValue::Function(_) => Value::Null,
        GoValue::Bool(truth) => (*truth).into(),
        GoValue::Int(number) => (*number).into(),
        GoValue::Uint(number) => (*number).into(),
        GoValue::Float(number) => (*number).into(),
        GoValue::String(text) => text.as_ref().into(),
        GoValue::List(list) => list.iter().map(of).collect(),
        GoValue::Map(map) => {
            let fields = map.iter().map(|(name, value)| (name.to_string(), of(value)));
            Value::Object(fields.collect())
        }
    }
}
