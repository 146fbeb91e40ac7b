//! The input of a run as the first message of its conversation.

use serde_json::Value;
use tenure_sdk::{Failure, Payload};

/// What a run without input says: providers refuse a conversation without text.
const NOTHING: &str = "Begin.";

/// The text of the input: a JSON string without its quotes, other JSON and text as they are.
pub(super) fn text(input: &Payload) -> Result<String, Failure> {
    if !input.encoding.is_empty() {
        return Err(unusable(&format!("it is encoded as `{}`", input.encoding)));
    }
    let text = str::from_utf8(&input.data).map_err(|_| unusable("it is not text in UTF-8"))?;
    let text = match serde_json::from_str(text) {
        Ok(Value::String(text)) if is_json(input) => text,
        Err(error) if is_json(input) && !input.is_empty() => {
            return Err(unusable(&format!("it is not JSON: {error}")));
        }
        _ => text.to_owned(),
    };
    Ok(if text.trim().is_empty() { NOTHING.into() } else { text })
}

fn is_json(input: &Payload) -> bool {
    let essence = input.content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(Payload::JSON) || essence.ends_with("+json")
}

fn unusable(why: &str) -> Failure {
    Failure::permanent("input_unusable", format!("the input of the run cannot be read: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, data: &'static [u8]) -> Result<String, String> {
        let content_type = content_type.into();
        let input = Payload { content_type, encoding: String::new(), data: data.into() };
        text(&input).map_err(|failure| failure.message)
    }

    #[test]
    fn strings_lose_their_quotes_and_everything_else_stays() {
        for (content_type, data, text) in [
            ("application/json", br#""read\nall""# as &[u8], "read\nall"),
            ("application/json; charset=utf-8", br#""all""#, "all"),
            ("application/json", br#"{"topic": 1}"#, r#"{"topic": 1}"#),
            ("text/plain", br#""quoted""#, r#""quoted""#),
            ("", b"", "Begin."),
            ("application/json", b"", "Begin."),
            ("application/json", br#"" ""#, "Begin."),
        ] {
            assert_eq!(read(content_type, data).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert!(read("image/png", b"\x89PNG\xff").unwrap_err().contains("UTF-8"));
        assert!(read("application/json", b"{").unwrap_err().contains("not JSON"));
    }
}
