//! Values as payloads, and back.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_core::{Failure, Payload};

/// A value as JSON that can be recorded. If it cannot, the failure has this code and names `what`.
pub(crate) fn encode<T: Serialize + ?Sized>(
    code: &str,
    what: impl fmt::Display,
    value: &T,
) -> Result<Payload, Failure> {
    let unfit = |why: String| Failure::permanent(code, why);
    let json = serde_json::to_vec(value);
    let json = json.map_err(|error| unfit(format!("{what} is not JSON: {error}")))?;
    Payload::json(json).checked(what).map_err(|error| unfit(error.to_string()))
}

/// The value of a payload: nothing is null, and text needs no quotes to be a string.
pub(crate) fn decode<T: DeserializeOwned>(payload: &Payload) -> serde_json::Result<T> {
    match &*payload.data {
        [] => serde_json::from_str("null"),
        bytes if payload.content_type.starts_with("text/") => {
            serde_json::from_value(String::from_utf8_lossy(bytes).into())
        }
        bytes => serde_json::from_slice(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back() {
        let payload = encode("x", "it", &vec![1, 2]).unwrap();
        assert_eq!(decode::<Vec<u8>>(&payload).unwrap(), [1, 2]);
        assert_eq!(decode::<Option<u8>>(&Payload::default()).unwrap(), None);
        let text = Payload { content_type: "text/plain".into(), ..Payload::json("hello") };
        assert_eq!(decode::<String>(&text).unwrap(), "hello");
    }

    #[test]
    fn what_cannot_be_recorded_says_why() {
        let long = "x".repeat(tenure_core::limits::PAYLOAD);
        let failure = encode("invalid_result", "the result of step `a`", &long).unwrap_err();
        assert_eq!((&*failure.code, failure.retryable), ("invalid_result", false));
        assert!(failure.message.contains("the result of step `a`"), "{}", failure.message);
    }
}
