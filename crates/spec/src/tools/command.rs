//! Programs as tools.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::bounds::{
    MAX_ARGUMENT, MAX_ARGUMENTS, MAX_LINE, MAX_NAME, MEMORY_MIB, OUTPUT_BYTES, PROCESSES,
};
use crate::node::{Fields, Node};
use crate::output;
use crate::span::Span;

use super::{Effect, read_tool_name};

/// A program of the worker's machine, as a tool. It is started without a shell, with limits, and kept
/// to its folder as far as the machine can. The worker's operator must allow the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandTool {
    /// Name that the model knows it by: 1 to 64 characters out of A-Z, a-z, 0-9, `_` and `-`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub name: String,
    /// What it is good for, told to the model. At most 2000 characters.
    #[schemars(length(max = MAX_LINE))]
    pub description: String,
    /// Name or path of the program, as the operator allows it.
    #[schemars(length(min = 1, max = MAX_LINE))]
    pub program: String,
    /// Its arguments, at most 100. `{name}` stands for what the model gives as the parameter
    /// `name`, always within one argument; one that is nothing but `{name}` becomes several for a
    /// list. An argument whose parameter is not given is left out.
    #[serde(default)]
    #[schemars(length(max = MAX_ARGUMENTS))]
    pub args: Vec<String>,
    /// JSON Schema of the parameters: an object whose properties are texts, numbers, truths or lists
    /// of texts, each used in `args`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub parameters: Option<Value>,
    /// Whether an argument that the model gives may begin with `-`, and so be an option.
    #[serde(default)]
    pub options: bool,
    /// Whether the model gives the text of the standard input; it is empty otherwise.
    #[serde(default)]
    pub stdin: bool,
    /// The folder that it works in, below that of the worker.
    #[serde(default = "directory")]
    #[schemars(length(min = 1, max = MAX_LINE))]
    pub directory: String,
    /// Names of the worker's variables that it sees, if the operator allows them; it sees no others.
    #[serde(default)]
    #[schemars(length(max = MAX_ARGUMENTS))]
    pub environment: Vec<String>,
    /// How long it may run, and how much time of a processor each of its processes may use.
    #[serde(default = "time")]
    pub time: Span,
    /// Address space of each of its processes, in MiB.
    #[serde(default = "memory")]
    #[schemars(range(min = *MEMORY_MIB.start(), max = *MEMORY_MIB.end()))]
    pub memory: u32,
    /// Bytes of its output, and of its errors, that are kept: the last ones.
    #[serde(default = "output_bytes")]
    #[schemars(range(min = *OUTPUT_BYTES.start(), max = *OUTPUT_BYTES.end()))]
    pub output: u32,
    /// How many processes and threads it may have.
    #[serde(default = "processes")]
    #[schemars(range(min = *PROCESSES.start(), max = *PROCESSES.end()))]
    pub processes: u32,
    /// Whether it may use the network.
    #[serde(default)]
    pub network: bool,
    /// What it does to the world. `once`, unless it may be repeated after a crash of the worker.
    #[serde(default = "once")]
    pub effect: Effect,
    /// What becomes of it where the machine cannot keep it within its bounds.
    #[serde(default)]
    pub isolation: Isolation,
}

/// What becomes of a command where the machine cannot keep it within its bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// It is executed, and the result says which bounds do not hold.
    #[default]
    Preferred,
    /// It is not executed.
    Required,
}

const FIELDS: [&str; 16] = [
    "name",
    "description",
    "program",
    "args",
    "parameters",
    "options",
    "stdin",
    "directory",
    "environment",
    "time",
    "memory",
    "output",
    "processes",
    "network",
    "effect",
    "isolation",
];

/// The parameter that is the standard input.
pub(crate) const STDIN: &str = "stdin";

fn directory() -> String {
    ".".into()
}

fn time() -> Span {
    Span::seconds(60)
}

/// 2 GiB: compilers and interpreters need it, a machine with a worker has it.
fn memory() -> u32 {
    2 << 10
}

/// 16 KiB: some four thousand tokens.
fn output_bytes() -> u32 {
    16 << 10
}

/// Enough for a build on many cores.
fn processes() -> u32 {
    64
}

fn once() -> Effect {
    Effect::Once
}

impl CommandTool {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&FIELDS)?;
        let name = fields.required("name", "name the tool", read_tool_name);
        let hint = "say what the tool is good for: the model chooses by it";
        let description = fields.required("description", hint, |at| at.filled_text(MAX_LINE));
        let hint = "name the program, such as `program: python3`";
        let program = fields.required("program", hint, |at| at.filled_text(MAX_LINE));
        let parameters = fields.read("parameters", |at| read_parameters(at, &fields));
        let truth = |name| fields.read(name, Node::truth).unwrap_or_default();
        let number = |name, range, default: fn() -> u32| {
            fields.read(name, |at| at.small_integer(&range)).unwrap_or_else(default)
        };
        let isolations = [("preferred", Isolation::Preferred), ("required", Isolation::Required)];
        let isolation = fields.read("isolation", |at| at.choice("isolation", &isolations));
        Some(Self {
            args: fields.read("args", read_args).unwrap_or_default(),
            parameters,
            options: truth("options"),
            stdin: truth("stdin"),
            directory: fields.read("directory", read_directory).unwrap_or_else(directory),
            environment: fields.read("environment", read_variables).unwrap_or_default(),
            time: fields.read("time", Span::read_filled).unwrap_or_else(time),
            memory: number("memory", MEMORY_MIB, memory),
            output: number("output", OUTPUT_BYTES, output_bytes),
            processes: number("processes", PROCESSES, processes),
            network: truth("network"),
            effect: fields
                .read("effect", |at| at.choice("effect", &Effect::ALL))
                .unwrap_or_else(once),
            isolation: isolation.unwrap_or_default(),
            // Last, so that one pass finds every problem.
            name: name?,
            description: description?,
            program: program?,
        })
    }
}

fn read_args(node: &Node<'_>) -> Option<Vec<String>> {
    few(node)?;
    node.list(|node| node.text(MAX_ARGUMENT))
}

fn few(node: &Node<'_>) -> Option<()> {
    match node.value.as_array().map_or(0, Vec::len) {
        ..=MAX_ARGUMENTS => Some(()),
        count => {
            let message = format!("has {count} elements, more than the {MAX_ARGUMENTS} allowed");
            node.problem(message, "give fewer, or a program that knows them")
        }
    }
}

/// A path below the worker's folder. Whether it is one, the worker sees to; a slip is told here.
fn read_directory(node: &Node<'_>) -> Option<String> {
    let text = node.filled_text(MAX_LINE)?;
    if !text.starts_with('/') && !text.split('/').any(|part| part == "..") {
        return Some(text);
    }
    node.problem("leads out of the worker's folder", "give a path below it, such as `src`")
}

fn read_variables(node: &Node<'_>) -> Option<Vec<String>> {
    few(node)?;
    let mut names = BTreeSet::new();
    node.list(|node| {
        let name = node.filled_text(MAX_NAME)?;
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return node.problem("is not a variable's name", "use A-Z, a-z, 0-9 and `_`");
        }
        names.insert(name);
        Some(())
    })?;
    // A set: its order means nothing, so it must not change the digest.
    Some(names.into_iter().collect())
}

/// The schema of an object whose properties can become arguments, each of which does.
fn read_parameters(node: &Node<'_>, fields: &Fields<'_>) -> Option<Value> {
    let schema = output::read(node)?;
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        let hint = "write `parameters: {type: object, properties: {file: {type: string}}}`";
        return node.problem("has no properties", hint);
    };
    let args = fields.read("args", |node| Some(node.value.clone())).unwrap_or_default();
    let args: Vec<&str> = args.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let stdin = fields.read("stdin", |node| node.value.as_bool()).unwrap_or_default();
    let mut fine = true;
    for (name, property) in properties {
        if let Some((message, hint)) = problem(name, property, &args, stdin) {
            fine = false;
            node.field(name, node.value).problem::<()>(message, hint);
        }
    }
    fine.then_some(schema)
}

/// What keeps a parameter from becoming an argument.
fn problem(name: &str, schema: &Value, args: &[&str], stdin: bool) -> Option<(String, String)> {
    let (whole, list) = (format!("{{{name}}}"), schema["type"] == "array");
    let single = ["string", "integer", "number", "boolean"].iter().any(|t| schema["type"] == *t);
    let texts = list && schema["items"]["type"] == "string";
    if stdin && name == STDIN {
        return Some(("is the standard input".into(), "call the parameter otherwise".into()));
    }
    if !single && !texts {
        let hint = "give it `type: string`, `integer`, `number`, `boolean`, or `array` of strings";
        return Some(("can become no argument".into(), hint.into()));
    }
    match args.iter().find(|arg| arg.contains(&whole)) {
        None => Some(("is used nowhere".into(), format!("write `{whole}` in `args`"))),
        Some(arg) if list && *arg != whole => {
            let hint = format!("a list becomes several arguments: write `{whole}` alone");
            Some((format!("is a part of the argument `{arg}`"), hint))
        }
        Some(_) => None,
    }
}
