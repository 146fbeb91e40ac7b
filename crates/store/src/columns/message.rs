//! The rows of messages between runs.

use tenure_core::{Message, Run};
use uuid::Uuid;

use super::{FailureColumns, PayloadColumns, int, result};
use crate::documents::{self, CallDocument, EndedDocument, SteeringDocument, TurnDocument};

/// A row of `outbox`; the statement finds out when it is due.
pub(crate) struct MessageColumns<'a> {
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub number: i64,
    pub kind: &'static str,
    pub payload: PayloadColumns<'a>,
    pub failure: FailureColumns<'a>,
    /// JSON: what is not payload or failure.
    pub detail: String,
}

impl<'a> MessageColumns<'a> {
    pub(super) fn of(run: &Run, number: u64, message: &'a Message) -> Self {
        let (kind, detail) = describe(message);
        let (payload, failure) = match message {
            Message::Call { call, .. } => {
                (PayloadColumns::of(&call.input), FailureColumns::default())
            }
            Message::Ended { result: ended, .. } => result(ended),
            Message::EndChildren { .. } | Message::FreeTurn { .. } | Message::TakeTurn { .. } => {
                (PayloadColumns::default(), FailureColumns::default())
            }
        };
        let (tenant_id, run_id) = (run.tenant.uuid(), run.id.uuid());
        Self { tenant_id, run_id, number: int(number), kind, payload, failure, detail }
    }
}

/// The kind and the JSON of the details.
fn describe(message: &Message) -> (&'static str, String) {
    match message {
        Message::Call { key, call } => ("call", documents::text(&CallDocument::of(key, call))),
        Message::Ended { parent, key, usage, .. } => {
            ("ended", documents::text(&EndedDocument::of(*parent, key, usage)))
        }
        Message::EndChildren { steering } => {
            ("end_children", documents::text(&SteeringDocument::of(steering)))
        }
        Message::FreeTurn { key } => {
            ("free_turn", documents::text(&TurnDocument { key: key.clone() }))
        }
        Message::TakeTurn { key } => {
            ("take_turn", documents::text(&TurnDocument { key: key.clone() }))
        }
    }
}
