//! The body of a chat completion request, read as forgivingly as OpenAI does: unknown fields are
//! passed over, wrong types are refused with the name of the parameter.

mod messages;
mod options;
mod tools;

use serde_json::{Map, Value};

use super::Conversation;

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
    let tools = tools::tools(body)?;
    Ok(Conversation {
        messages: messages::messages(body)?,
        tool_choice: tools::tool_choice(body, &tools)?,
        tools,
        temperature: options::temperature(body)?,
        max_tokens: options::max_tokens(body)?,
        output: options::response_format(body)?,
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

/// Enough of what somebody sent to recognise it.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
