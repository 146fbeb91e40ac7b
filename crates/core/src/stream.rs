//! Streams: the ephemeral events of a run (tokens, progress) beside its journal, never in it.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::key::{self, Key};
use crate::{limits, text};

/// Something that a step says while it is being executed. It is kept nowhere, and may be lost.
///
/// `(epoch, attempt)` only ever grows for one key: whoever follows the run forgets what an earlier
/// attempt said as soon as a later one speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// The key of the step.
    pub key: Key,
    /// The epoch of the lease that it is executed under.
    pub epoch: u64,
    /// The attempt of the step under this lease, counted from 1.
    pub attempt: u32,
    /// Its place among the events of this attempt, counted from 0. A gap says that some were lost.
    pub index: u64,
    /// What it is, such as `token`: of `A-Z a-z 0-9 . _ - :`, at most [`limits::NAME`] bytes.
    pub kind: String,
    /// What `data` is, such as `text/plain`; at most [`limits::NAME`] bytes.
    pub content_type: String,
    /// At most [`limits::STREAM_EVENT`] bytes.
    pub data: Bytes,
}

impl StreamEvent {
    /// The event, if it keeps to the limits.
    pub fn checked(self) -> Result<Self> {
        let kind = &self.kind;
        if !key::is_part(kind) || kind.len() > limits::NAME {
            let shown: String = kind.escape_debug().take(64).collect();
            return Err(Error::invalid(format!(
                "`{shown}` is no kind of event: use 1 to {} of A-Z, a-z, 0-9, `.`, `_`, `-`, `:`",
                limits::NAME
            )));
        }
        text::check("the content type of an event", &self.content_type, limits::NAME)?;
        if self.data.len() > limits::STREAM_EVENT {
            let what = format!("an event of `{}` in bytes", self.key);
            return Err(Error::too_large(what, self.data.len(), limits::STREAM_EVENT));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_small_and_have_a_kind() {
        let event = |kind: &str, size| StreamEvent {
            key: "turn/1/model".parse().unwrap(),
            epoch: 1,
            attempt: 1,
            index: 0,
            kind: kind.into(),
            content_type: "text/plain".into(),
            data: vec![0; size].into(),
        };
        assert!(event("token", limits::STREAM_EVENT).checked().is_ok());
        let large = event("token", limits::STREAM_EVENT + 1).checked().unwrap_err();
        assert_eq!(
            large.to_string(),
            "an event of `turn/1/model` in bytes is 65537; the limit is 65536"
        );
        assert!(event("", 1).checked().is_err() && event("a b", 1).checked().is_err());
    }
}
