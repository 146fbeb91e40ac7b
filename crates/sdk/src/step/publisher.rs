//! What a step says while it is executed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tenure_core::{Key, StreamEvent, limits};
use tenure_proto::{convert, v1};

use crate::worker::publishing::Publishing;

/// Tells those who follow the run what an attempt of a step comes to meanwhile: pieces of a text,
/// progress. Nothing of it is kept, nothing of it fails or waits: what cannot be sent is dropped.
/// Cloning is cheap; clones count together.
#[derive(Clone, Default)]
pub struct Publisher(Option<Arc<Said>>);

/// Who speaks.
struct Said {
    publishing: Publishing,
    tenant: String,
    run: String,
    lease: String,
    key: Key,
    epoch: u64,
    attempt: u32,
    /// How many events there were.
    events: AtomicU64,
}

/// Whose attempt it is.
pub(crate) struct Speaker<'a> {
    pub(crate) publishing: &'a Publishing,
    pub(crate) tenant: &'a str,
    pub(crate) run: String,
    pub(crate) lease: &'a str,
    pub(crate) epoch: u64,
}

impl Publisher {
    pub(crate) fn new(speaker: Speaker<'_>, key: &Key, attempt: u32) -> Self {
        Self(Some(Arc::new(Said {
            publishing: speaker.publishing.clone(),
            tenant: speaker.tenant.to_owned(),
            run: speaker.run,
            lease: speaker.lease.to_owned(),
            key: key.clone(),
            epoch: speaker.epoch,
            attempt,
            events: AtomicU64::new(0),
        })))
    }

    /// One that nobody hears, for code that is not in a step.
    pub fn silent() -> Self {
        Self::default()
    }

    /// Publishes a piece of a text as `text/plain`. `kind` says of what, such as `token`; it is of
    /// `A-Z a-z 0-9 . _ - :`. What is longer than an event goes in several.
    pub fn text(&self, kind: &str, mut text: &str) {
        while !text.is_empty() {
            let (piece, rest) = text.split_at(text.floor_char_boundary(limits::STREAM_EVENT));
            self.publish(kind, "text/plain", piece.to_owned());
            text = rest;
        }
    }

    /// Publishes bytes, at most 64 KiB of them: more are dropped, like an event whose `kind` or
    /// content type breaks the rules.
    pub fn publish(&self, kind: &str, content_type: &str, data: impl Into<Bytes>) {
        let Some(said) = &self.0 else { return };
        let event = StreamEvent {
            key: said.key.clone(),
            epoch: said.epoch,
            attempt: said.attempt,
            index: said.events.fetch_add(1, Ordering::Relaxed),
            kind: kind.to_owned(),
            content_type: content_type.to_owned(),
            data: data.into(),
        };
        match event.checked() {
            Ok(event) => said.send(event),
            Err(error) => tracing::debug!(run = said.run, %error, "an event was dropped"),
        }
    }
}

impl Said {
    fn send(&self, event: StreamEvent) {
        self.publishing.send(v1::PublishRequest {
            tenant: self.tenant.clone(),
            run: self.run.clone(),
            lease: self.lease.clone(),
            event: Some(convert::stream_event(event)),
        });
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Publisher")
    }
}
