//! The body of a chat completion request, read as forgivingly as OpenAI does: unknown fields are
//! passed over, wrong types are refused with the name of the parameter.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Call, ClientTool, Conversation, MAX_MESSAGES, MAX_TOOLS, Said, ToolChoice};

/// Why a request cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The parameter, such as `messages[2].content`.
    pub param: String,
    /// What is wrong with it, and what to do.
    pub message: String,
    /// A word for programs: `invalid_type`, `invalid_value`, `missing` or `unsupported`.
    pub code: &'static str,
}

type Read<T> = Result<T, Refusal>;

/// Parameters that ask for what cannot be had, unless they have this value (or are null).
const UNSUPPORTED: [(&str, &[&str]); 8] = [
    ("n", &["1"]),
    ("logprobs", &["false"]),
    ("top_logprobs", &["0"]),
    ("audio", &[]),
    ("modalities", &["[\"text\"]"]),
    ("functions", &["[]"]),
    ("function_call", &["\"none\"", "\"auto\""]),
    ("web_search_options", &[]),
];

pub(super) fn conversation(body: &Value) -> Read<Conversation> {
    let Value::Object(body) = body else {
        return Err(refusal("", "invalid_type", "the body must be a JSON object"));
    };
    for (param, same) in UNSUPPORTED {
        refuse(body, param, same)?;
    }
    let tools = tools(body)?;
    Ok(Conversation {
        messages: messages(body)?,
        tool_choice: tool_choice(body, &tools)?,
        tools,
        temperature: temperature(body)?,
        max_tokens: max_tokens(body)?,
        output: response_format(body)?,
    })
}

fn refusal(param: impl Into<String>, code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { param: param.into(), message: message.into(), code }
}

fn wrong_type(param: &str, wanted: &str) -> Refusal {
    refusal(param, "invalid_type", format!("`{param}` must be {wanted}"))
}

/// The value of a parameter; null is as good as none.
fn given<'v>(fields: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn refuse(body: &Map<String, Value>, param: &str, same: &[&str]) -> Read<()> {
    match given(body, param) {
        Some(value) if !same.contains(&&*value.to_string()) => Err(refusal(
            param,
            "unsupported",
            format!("`{param}` is not supported here: leave it out"),
        )),
        _ => Ok(()),
    }
}

fn messages(body: &Map<String, Value>) -> Read<Vec<Said>> {
    let Some(value) = given(body, "messages") else {
        return Err(refusal("messages", "missing", "`messages` must be given"));
    };
    let list = value.as_array().ok_or_else(|| wrong_type("messages", "a list of messages"))?;
    if list.is_empty() || list.len() > MAX_MESSAGES {
        let why = format!("`messages` must have 1 to {MAX_MESSAGES} messages");
        return Err(refusal("messages", "invalid_value", why));
    }
    let mut called = BTreeSet::new();
    let mut said = Vec::with_capacity(list.len());
    for (place, message) in list.iter().enumerate() {
        let message = read_message(message, &format!("messages[{place}]"), &called)?;
        if let Said::Assistant { tool_calls, .. } = &message {
            called.extend(tool_calls.iter().map(|call| call.id.clone()));
        }
        said.push(message);
    }
    Ok(said)
}

fn read_message(message: &Value, at: &str, called: &BTreeSet<String>) -> Read<Said> {
    let fields = message.as_object().ok_or_else(|| wrong_type(at, "an object"))?;
    match text_of(fields, "role", at)?.as_str() {
        "system" | "developer" => Ok(Said::System { content: content(fields, at)? }),
        "user" => Ok(Said::User { content: content(fields, at)? }),
        "assistant" => assistant(fields, at),
        "tool" => {
            let tool_call_id = text_of(fields, "tool_call_id", at)?;
            if !called.contains(&tool_call_id) {
                let why = "it answers no call of a message before it";
                return Err(refusal(format!("{at}.tool_call_id"), "invalid_value", why));
            }
            Ok(Said::Tool { tool_call_id, content: content(fields, at)? })
        }
        "function" => Err(refusal(
            format!("{at}.role"),
            "unsupported",
            "`function` messages are not supported: use `tool`",
        )),
        _ => Err(refusal(
            format!("{at}.role"),
            "invalid_value",
            "`role` must be system, developer, user, assistant or tool",
        )),
    }
}

fn assistant(fields: &Map<String, Value>, at: &str) -> Read<Said> {
    let tool_calls = match given(fields, "tool_calls") {
        None => Vec::new(),
        Some(calls) => {
            let at = format!("{at}.tool_calls");
            let calls = calls.as_array().ok_or_else(|| wrong_type(&at, "a list of calls"))?;
            let calls = calls.iter().enumerate();
            calls
                .map(|(place, call)| read_call(call, &format!("{at}[{place}]")))
                .collect::<Read<_>>()?
        }
    };
    let silent = given(fields, "content").is_none();
    let refused = given(fields, "refusal").and_then(Value::as_str);
    let content = match refused {
        Some(refused) if silent => refused.to_owned(),
        _ if silent && !tool_calls.is_empty() => String::new(),
        _ => content(fields, at)?,
    };
    Ok(Said::Assistant { content, tool_calls })
}

fn read_call(call: &Value, at: &str) -> Read<Call> {
    let fields = call.as_object().ok_or_else(|| wrong_type(at, "an object"))?;
    let function = format!("{at}.function");
    let called = given(fields, "function").and_then(Value::as_object);
    let called = called.ok_or_else(|| wrong_type(&function, "an object"))?;
    let (name, arguments) =
        (text_of(called, "name", &function)?, text_of(called, "arguments", &function)?);
    Ok(Call::new(text_of(fields, "id", at)?, name, arguments))
}

fn text_of(fields: &Map<String, Value>, name: &str, at: &str) -> Read<String> {
    let param = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match given(fields, name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(wrong_type(&param, "a text")),
        None => {
            let why = format!("`{param}` must be given");
            Err(refusal(param, "missing", why))
        }
    }
}

/// The text of a message: as it is, or the texts of its parts one after the other.
fn content(fields: &Map<String, Value>, at: &str) -> Read<String> {
    let param = format!("{at}.content");
    match given(fields, "content") {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let parts = parts.iter().enumerate();
            parts.map(|(place, part)| part_text(part, &format!("{param}[{place}]"))).collect()
        }
        Some(_) => Err(wrong_type(&param, "a text or a list of parts")),
        None => {
            let why = format!("`{param}` must be given");
            Err(refusal(param, "missing", why))
        }
    }
}

fn part_text(part: &Value, at: &str) -> Read<String> {
    let fields = part.as_object().ok_or_else(|| wrong_type(at, "an object"))?;
    match text_of(fields, "type", at)?.as_str() {
        "text" => text_of(fields, "text", at),
        "refusal" => text_of(fields, "refusal", at),
        other => Err(refusal(
            format!("{at}.type"),
            "unsupported",
            format!("parts of type `{}` are not supported: send text", shown(other)),
        )),
    }
}

fn tools(body: &Map<String, Value>) -> Read<Vec<ClientTool>> {
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

fn tool_choice(body: &Map<String, Value>, tools: &[ClientTool]) -> Read<ToolChoice> {
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

fn temperature(body: &Map<String, Value>) -> Read<Option<f64>> {
    let Some(value) = given(body, "temperature") else { return Ok(None) };
    let number = value.as_f64().ok_or_else(|| wrong_type("temperature", "a number"))?;
    if !(0.0..=2.0).contains(&number) {
        return Err(refusal("temperature", "invalid_value", "`temperature` must be 0 to 2"));
    }
    Ok(Some(number))
}

/// The limit under its new name or its old one.
fn max_tokens(body: &Map<String, Value>) -> Read<Option<u32>> {
    let names = ["max_completion_tokens", "max_tokens"];
    let Some((name, value)) = names.iter().find_map(|name| Some((*name, given(body, name)?)))
    else {
        return Ok(None);
    };
    let number = value.as_u64().ok_or_else(|| wrong_type(name, "a whole number"))?;
    if number == 0 {
        return Err(refusal(name, "invalid_value", format!("`{name}` must be at least 1")));
    }
    Ok(Some(u32::try_from(number).unwrap_or(u32::MAX)))
}

fn response_format(body: &Map<String, Value>) -> Read<Option<Value>> {
    let Some(value) = given(body, "response_format") else { return Ok(None) };
    let at = "response_format";
    let fields = value.as_object().ok_or_else(|| wrong_type(at, "an object"))?;
    match text_of(fields, "type", at)?.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(json!({"type": "object"}))),
        "json_schema" => {
            let at = "response_format.json_schema";
            let form = given(fields, "json_schema").and_then(Value::as_object);
            let form = form.ok_or_else(|| wrong_type(at, "an object"))?;
            let schema = given(form, "schema").filter(|schema| schema.is_object());
            schema
                .cloned()
                .map(Some)
                .ok_or_else(|| wrong_type(&format!("{at}.schema"), "a JSON Schema"))
        }
        _ => {
            let why = "`response_format.type` must be text, json_object or json_schema";
            Err(refusal("response_format.type", "invalid_value", why))
        }
    }
}

/// Enough of what somebody sent to recognise it.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &Value) -> (String, &'static str) {
        let refusal = conversation(body).unwrap_err();
        (refusal.param, refusal.code)
    }

    #[test]
    fn what_clients_send_is_read_and_kept_in_one_form() {
        let read = conversation(&json!({
            "model": "a", "user": "me", "seed": 1, "n": 1, "logprobs": null, "whatever": {},
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "name": "ann", "content": [
                    {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "3"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "strict": true}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "max_completion_tokens": 9, "max_tokens": 7, "temperature": 1,
            "response_format": {"type": "json_object"},
        }))
        .unwrap();
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(
            written,
            json!({
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "ab"},
                    {"role": "assistant", "content": "", "tool_calls": [
                        {"id": "c1", "type": "function",
                         "function": {"name": "f", "arguments": "{}"}}]},
                    {"role": "tool", "tool_call_id": "c1", "content": "3"},
                ],
                "tools": [{"name": "f", "description": "",
                           "parameters": {"type": "object", "properties": {}}}],
                "tool_choice": {"function": "f"},
                "temperature": 1.0, "max_tokens": 9, "output": {"type": "object"},
            })
        );
        assert_eq!(serde_json::from_value::<Conversation>(written).unwrap(), read);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = json!([{"role": "user", "content": "hi"}]);
        let with = |name: &str, value: Value| {
            let mut body = json!({"messages": said});
            body[name] = value;
            refused(&body)
        };
        let is = |param: &str, code: &'static str| (param.to_owned(), code);
        assert_eq!(refused(&json!([])), is("", "invalid_type"));
        assert_eq!(refused(&json!({})), is("messages", "missing"));
        assert_eq!(with("messages", json!([])), is("messages", "invalid_value"));
        assert_eq!(with("messages", json!(["hi"])), is("messages[0]", "invalid_type"));
        for (name, value, param, code) in [
            ("n", json!(2), "n", "unsupported"),
            ("logprobs", json!(true), "logprobs", "unsupported"),
            ("audio", json!({"voice": "x"}), "audio", "unsupported"),
            ("temperature", json!("hot"), "temperature", "invalid_type"),
            ("temperature", json!(3), "temperature", "invalid_value"),
            ("max_tokens", json!(0), "max_tokens", "invalid_value"),
            ("tools", json!([{"type": "custom"}]), "tools[0].type", "unsupported"),
            ("tool_choice", json!("required"), "tool_choice", "invalid_value"),
            ("response_format", json!({"type": "xml"}), "response_format.type", "invalid_value"),
        ] {
            assert_eq!(with(name, value), is(param, code));
        }
        for (message, param, code) in [
            (json!({"role": "bot", "content": ""}), "messages[0].role", "invalid_value"),
            (json!({"role": "user"}), "messages[0].content", "missing"),
            (json!({"role": "user", "content": 3}), "messages[0].content", "invalid_type"),
            (
                json!({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}),
                "messages[0].content[0].type",
                "unsupported",
            ),
            (
                json!({"role": "tool", "tool_call_id": "c", "content": "3"}),
                "messages[0].tool_call_id",
                "invalid_value",
            ),
        ] {
            assert_eq!(with("messages", json!([message])), is(param, code));
        }
    }
}
