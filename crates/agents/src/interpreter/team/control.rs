//! What a member can do to its team: hand over, and set variables.

use serde_json::{Map, Value, json};
use tenure_sdk::limits;
use tenure_spec::team::{Member, PERSON, Pattern, Team};

use crate::interpreter::control::Control;
use crate::model::{Definition, ToolCall};

const SET: &str = "set_variable";
const TRANSFER: &str = "transfer_to_";

/// What the member that speaks can do.
pub(super) struct Floor<'a> {
    team: &'a Team,
    member: &'a Member,
    pub(super) variables: Map<String, Value>,
    /// To whom it has handed over.
    pub(super) transfer: Option<String>,
}

impl<'a> Floor<'a> {
    pub(super) fn new(team: &'a Team, member: &'a Member, variables: Map<String, Value>) -> Self {
        Self { team, member, variables, transfer: None }
    }

    /// To whom it may hand over, with what they are good for.
    fn targets(&self) -> Vec<(&str, &str)> {
        if self.team.pattern != Pattern::Model {
            return Vec::new();
        }
        let listed = |name: &str| match &self.member.transfers {
            None => name != PERSON && name != self.member.name,
            Some(names) => names.iter().any(|listed| listed == name),
        };
        let members = self.team.members.iter();
        let members = members.map(|member| (member.name.as_str(), member.description.as_str()));
        let person = (PERSON, "The person that the team works for. Ask your question first.");
        members.chain([person]).filter(|(name, _)| listed(name)).collect()
    }

    fn transfer(&mut self, to: &str) -> Value {
        if let Some(before) = &self.transfer {
            return error(format!("you have handed over to `{before}` already"));
        }
        if !self.targets().iter().any(|(name, _)| *name == to) {
            return error(format!("you cannot hand over to `{to}`"));
        }
        self.transfer = Some(to.to_owned());
        json!({"handed_over_to": to})
    }

    fn set(&mut self, arguments: &Value) -> Value {
        let name = arguments.get("name").and_then(Value::as_str).unwrap_or_default();
        let (true, Some(value)) =
            (self.member.sets.iter().any(|set| set == name), arguments.get("value"))
        else {
            let names = self.member.sets.join(", ");
            return error(format!("give a `value`, and as `name` one of: {names}"));
        };
        let before = self.variables.insert(name.into(), value.clone());
        let size = serde_json::to_vec(&self.variables).map_or(0, |text| text.len());
        if size > limits::SPEC {
            self.variables.insert(name.into(), before.unwrap_or_default());
            return error(format!("all variables together may have {} bytes", limits::SPEC));
        }
        json!({"set": name})
    }
}

impl Control for Floor<'_> {
    fn definitions(&self) -> Vec<Definition> {
        let transfers = self.targets().into_iter().map(|(name, description)| Definition {
            name: format!("{TRANSFER}{name}"),
            description: format!("Hands the conversation over to {name}. {description}"),
            parameters: json!({"type": "object", "properties": {}}),
        });
        let set = Definition {
            name: SET.into(),
            description: "Sets a variable that all of the team see.".into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "name": {"type": "string", "enum": self.member.sets},
                    "value": {"description": "Any JSON."},
                },
                "required": ["name", "value"],
            }),
        };
        transfers.chain((!self.member.sets.is_empty()).then_some(set)).collect()
    }

    fn take(&mut self, call: &ToolCall) -> Option<Value> {
        match call.name.strip_prefix(TRANSFER) {
            Some(to) if self.team.pattern == Pattern::Model => Some(self.transfer(to)),
            _ if call.name == SET && !self.member.sets.is_empty() => {
                Some(self.set(&call.arguments))
            }
            _ => None,
        }
    }

    fn is_over(&self) -> bool {
        self.transfer.is_some()
    }
}

fn error(why: impl Into<String>) -> Value {
    let why: String = why.into();
    json!({"error": why})
}
