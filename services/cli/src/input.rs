//! What runs and signals are given: a text, a file, or standard input.

use std::io::{self, Read as _};
use std::path::Path;

use tenure_core::limits;
use tenure_sdk::v1;

use crate::cli::Input;
use crate::problem::Problem;

const JSON: &str = tenure_core::Payload::JSON;
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// How the bytes are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// It must be JSON.
    Json,
    /// It is text.
    Text,
    /// It is JSON if it reads as JSON, else text.
    Guess,
}

/// What a run is given, if it is given anything.
pub(crate) fn given(input: &Input) -> Result<Option<v1::Payload>, Problem> {
    let format = if input.json { Format::Json } else { Format::Text };
    input.input.as_ref().map(|text| payload(text, format)).transpose()
}

/// The payload that `TEXT`, `@FILE` or `-` stands for.
pub(crate) fn payload(argument: &str, format: Format) -> Result<v1::Payload, Problem> {
    let data = bytes(argument)?;
    if data.len() > limits::PAYLOAD {
        let message =
            format!("the input has {} bytes; the limit is {}", data.len(), limits::PAYLOAD);
        return Err(Problem::new(message).hint("give the agent a place to read it from instead"));
    }
    let content_type = content_type(&data, format)?.to_owned();
    Ok(v1::Payload { content_type, data: data.into(), ..v1::Payload::default() })
}

/// The bytes that `TEXT`, `@FILE` or `-` stands for.
fn bytes(argument: &str) -> Result<Vec<u8>, Problem> {
    match (argument, argument.strip_prefix('@')) {
        ("-", _) => stdin(),
        (_, Some(path)) => file(Path::new(path)),
        (text, None) => Ok(text.as_bytes().to_vec()),
    }
}

/// The text that `TEXT`, `@FILE` or `-` stands for; the last line break of a file is not part of it.
pub(crate) fn text(argument: &str) -> Result<String, Problem> {
    let text = String::from_utf8(bytes(argument)?);
    let text = text.map_err(|_| Problem::new("the value is not UTF-8 text"))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

/// The JSON that `JSON`, `@FILE` or `-` stands for; `what` it is, for errors.
pub(crate) fn json(what: &str, argument: &str) -> Result<serde_json::Value, Problem> {
    serde_json::from_slice(&bytes(argument)?).map_err(|error| {
        Problem::new(format!("{what} is not JSON: {error}")).hint(
            "a text needs double quotes in JSON; quote the whole for your shell: '\"like this\"'",
        )
    })
}

/// JSON as a payload.
pub(crate) fn json_payload(value: &serde_json::Value) -> v1::Payload {
    v1::Payload {
        content_type: JSON.to_owned(),
        data: value.to_string().into(),
        ..v1::Payload::default()
    }
}

fn content_type(data: &[u8], format: Format) -> Result<&'static str, Problem> {
    let json = || serde_json::from_slice::<serde::de::IgnoredAny>(data);
    match format {
        Format::Json => match json() {
            Ok(_) => Ok(JSON),
            Err(error) => Err(Problem::new(format!("the input is not JSON: {error}"))
                .hint("leave --json away to send it as text")),
        },
        Format::Guess if json().is_ok() => Ok(JSON),
        Format::Guess | Format::Text if str::from_utf8(data).is_ok() => Ok(TEXT),
        Format::Guess | Format::Text => Ok(BYTES),
    }
}

/// All of standard input.
pub(crate) fn stdin() -> Result<Vec<u8>, Problem> {
    let mut data = Vec::new();
    io::stdin().lock().read_to_end(&mut data)?;
    Ok(data)
}

/// All of a file; `-` is standard input.
pub(crate) fn file(path: &Path) -> Result<Vec<u8>, Problem> {
    if path.as_os_str() == "-" {
        return stdin();
    }
    std::fs::read(path).map_err(|error| Problem::file(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(argument: &str, format: Format) -> String {
        payload(argument, format).unwrap().content_type
    }

    #[test]
    fn text_is_text_unless_it_is_said_to_be_json() {
        assert_eq!(kind("[1]", Format::Text), TEXT);
        assert_eq!(kind("[1]", Format::Json), JSON);
        assert_eq!(kind("[1]", Format::Guess), JSON);
        assert_eq!(kind("yes, do it", Format::Guess), TEXT);
        let refused = payload("yes, do it", Format::Json).unwrap_err().render();
        assert!(refused.contains("is not JSON") && refused.contains("hint:"), "{refused}");
    }

    #[test]
    fn a_file_may_hold_anything() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file, &[0xff, 0xfe]).unwrap();
        let argument = format!("@{}", file.path().display());
        assert_eq!(kind(&argument, Format::Text), BYTES);
        let absent = payload("@/no/such/file", Format::Text).unwrap_err().render();
        assert!(absent.contains("/no/such/file"), "{absent}");
    }
}
