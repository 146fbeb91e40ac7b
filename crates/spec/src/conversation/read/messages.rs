//! The messages of a request.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::super::{Call, MAX_MESSAGES, Said};
use super::{Read, given, refusal, shown, text_of, wrong_type};

pub(super) fn messages(body: &Map<String, Value>) -> Read<Vec<Said>> {
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
