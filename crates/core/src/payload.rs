//! Payload: bytes with a content type.

use std::fmt;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::limits;
use crate::text;

/// Bytes, what they are, and how they are encoded. Tenure never looks inside.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// A media type such as `application/json`; empty for no payload at all.
    pub content_type: String,
    /// What was done to the bytes on top of the content type (compression, encryption); empty for
    /// nothing. Tenure keeps it and leaves it to the two ends.
    pub encoding: String,
    /// The bytes themselves, at most [`limits::PAYLOAD`].
    pub data: Bytes,
}

impl Payload {
    /// The media type of JSON.
    pub const JSON: &str = "application/json";

    /// A payload of JSON text.
    pub fn json(data: impl Into<Bytes>) -> Self {
        Self { content_type: Self::JSON.into(), encoding: String::new(), data: data.into() }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The payload, if it is within [`limits::PAYLOAD`]; `what` names it in the error.
    pub fn checked(self, what: impl fmt::Display) -> Result<Self> {
        if self.data.len() > limits::PAYLOAD {
            let bytes = self.data.len();
            return Err(Error::too_large(format!("{what} in bytes"), bytes, limits::PAYLOAD));
        }
        text::check(format_args!("the content type of {what}"), &self.content_type, limits::NAME)?;
        text::check(format_args!("the encoding of {what}"), &self.encoding, limits::NAME)?;
        Ok(self)
    }
}

impl fmt::Debug for Payload {
    /// Sizes only: a payload may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.content_type, self.data.len())
    }
}
