//! The members of a team.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ANYBODY, END, PERSON};
use crate::bounds::{MAX_LINE, MAX_MEMBER_NAME, MAX_MEMBERS, MAX_VARIABLES};
use crate::model::Model;
use crate::node::Node;
use crate::template;
use crate::tools::{self, Tool};

/// One member of a team: a model that uses tools until it has something to say.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Name of the member, unique in the team: 1 to 52 characters out of A-Z, a-z, 0-9, `_` and `-`. Not
    /// `end` and not `person`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,52}$"))]
    pub name: String,
    /// What it is good for, told to the other members and to who chooses among them. At most 2000
    /// characters.
    #[schemars(length(min = 1, max = MAX_LINE))]
    pub description: String,
    /// Template (Go's `text/template`) of what it is told about its task; it knows the variables as
    /// `{{.NAME}}`.
    #[serde(default)]
    pub instructions: String,
    /// Its language model. Without it the team's, or else the worker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Model")]
    pub model: Option<Model>,
    /// What it may use, each tool once.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// Variables that it may set, with the tool `set_variable`.
    #[serde(default)]
    #[schemars(length(max = MAX_VARIABLES))]
    pub sets: Vec<String>,
    /// To whom its model may hand over if the pattern is `model`: names of members, and `person`.
    /// Without it, to every other member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", length(max = MAX_MEMBERS))]
    pub transfers: Option<Vec<String>>,
}

const FIELDS: [&str; 7] =
    ["name", "description", "instructions", "model", "tools", "sets", "transfers"];

impl Member {
    pub(super) fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&FIELDS)?;
        let name = fields.required("name", "give the member a name", read_name);
        let hint = "say what it is good for: others choose by it";
        let description = fields.required("description", hint, |at| at.filled_text(MAX_LINE));
        let named = |at: &Node<'_>| at.filled_text(MAX_LINE);
        Some(Self {
            instructions: fields.read("instructions", template::read).unwrap_or_default(),
            model: fields.read("model", Model::read),
            tools: fields.read("tools", read_tools).unwrap_or_default(),
            sets: fields.read("sets", |at| at.few(MAX_VARIABLES, named)).unwrap_or_default(),
            transfers: fields.read("transfers", |at| at.few(MAX_MEMBERS, named)),
            description: description.unwrap_or_default(),
            name: name.unwrap_or_default(),
        })
    }
}

/// The names that a member's own tools have are taken.
fn read_tools(at: &Node<'_>) -> Option<Vec<Tool>> {
    let tools = tools::read(at)?;
    let taken = |name: &str| name == "set_variable" || name.starts_with("transfer_to_");
    match tools.iter().find(|tool| taken(tool.name())) {
        Some(tool) => {
            let message = format!("the tool `{}` is one that teams have", tool.name());
            at.problem(message, "give it another `name`")
        }
        None => Some(tools),
    }
}

fn read_name(at: &Node<'_>) -> Option<String> {
    let text = at.text(MAX_MEMBER_NAME)?;
    if [END, PERSON, ANYBODY].contains(&text.as_str()) {
        return at.problem(format!("`{text}` has a meaning of its own"), "choose another name");
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !text.is_empty() && text.bytes().all(fits) {
        return Some(text);
    }
    at.problem("is not a member's name", "use A-Z, a-z, 0-9, `_` and `-`")
}
