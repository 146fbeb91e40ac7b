//! The client's tools in a request.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::{ClientTool, MAX_TOOLS, ToolChoice};
use super::{Read, given, refusal, shown, text_of, wrong_type};

pub(super) fn tools(body: &Map<String, Value>) -> Read<Vec<ClientTool>> {
    let Some(value) = given(body, "tools") else { return Ok(Vec::new()) };
    let list = value.as_array().ok_or_else(|| wrong_type("tools", "a list of tools"))?;
    if list.len() > MAX_TOOLS {
        let why = format!("there may be {MAX_TOOLS} tools");
        return Err(refusal("tools", "invalid_value", why));
    }
    let mut names = BTreeSet::new();
    let mut tools = Vec::with_capacity(list.len());
    for (place, tool) in list.iter().enumerate() {
        let at = format!("tools[{place}]");
        let tool = read_tool(tool, &at)?;
        if !names.insert(tool.name.clone()) {
            let why = format!("there are two tools called `{}`", tool.name);
            return Err(refusal(format!("{at}.function.name"), "invalid_value", why));
        }
        tools.push(tool);
    }
    Ok(tools)
}

fn read_tool(tool: &Value, at: &str) -> Read<ClientTool> {
    let fields = tool.as_object().ok_or_else(|| wrong_type(at, "an object"))?;
    if text_of(fields, "type", at)? != "function" {
        let why = "only tools of type `function` are supported";
        return Err(refusal(format!("{at}.type"), "unsupported", why));
    }
    let at = format!("{at}.function");
    let function = given(fields, "function").and_then(Value::as_object);
    let function = function.ok_or_else(|| wrong_type(&at, "an object"))?;
    let name = text_of(function, "name", &at)?;
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fit) {
        let why = "a tool's name has 1 to 64 letters, digits, `_` and `-`";
        return Err(refusal(format!("{at}.name"), "invalid_value", why));
    }
    let description = match given(function, "description") {
        Some(_) => text_of(function, "description", &at)?,
        None => String::new(),
    };
    let parameters = match given(function, "parameters") {
        Some(schema @ Value::Object(_)) => schema.clone(),
        Some(_) => return Err(wrong_type(&format!("{at}.parameters"), "a JSON Schema")),
        None => json!({"type": "object", "properties": {}}),
    };
    Ok(ClientTool { name, description, parameters })
}

pub(super) fn tool_choice(body: &Map<String, Value>, tools: &[ClientTool]) -> Read<ToolChoice> {
    let choice = match given(body, "tool_choice") {
        None => return Ok(ToolChoice::Auto),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => {
                let why = "`tool_choice` must be none, auto, required or a function";
                return Err(refusal("tool_choice", "invalid_value", why));
            }
        },
        Some(Value::Object(fields)) => {
            let at = "tool_choice.function";
            let function = given(fields, "function").and_then(Value::as_object);
            let function = function.ok_or_else(|| wrong_type(at, "an object"))?;
            ToolChoice::Function(text_of(function, "name", at)?)
        }
        Some(_) => return Err(wrong_type("tool_choice", "a word or an object")),
    };
    match &choice {
        ToolChoice::Required if tools.is_empty() => {
            Err(refusal("tool_choice", "invalid_value", "there are no `tools` to call"))
        }
        ToolChoice::Function(name) if !tools.iter().any(|tool| tool.name == *name) => {
            let why = format!("there is no tool `{}` among `tools`", shown(name));
            Err(refusal("tool_choice", "invalid_value", why))
        }
        _ => Ok(choice),
    }
}
