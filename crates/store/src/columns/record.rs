//! The rows that only grow: the journal and the inbox.

use tenure_core::run::{InboxItem, Topic};
use tenure_core::wait::Opening;
use tenure_core::{Entry, EntryStatus, Payload, Run, Timestamp};
use uuid::Uuid;

use super::{FailureColumns, PayloadColumns, UsageColumns, int, limit, micros, result};
use crate::documents::{self, OpeningDocument, UsageDocument};

/// A row of `journal`.
pub(crate) struct EntryColumns<'a> {
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub seq: i64,
    pub epoch: i64,
    pub at: Timestamp,
    pub key: &'a str,
    pub kind: &'static str,
    pub status: StatusColumns<'a>,
    /// What it counts in a page.
    pub size: i64,
    pub input: Option<&'a [u8]>,
    pub attempt: i64,
    pub duration_micros: i64,
    pub usage: UsageColumns<'a>,
}

impl<'a> EntryColumns<'a> {
    pub(super) fn of(run: &Run, entry: &'a Entry) -> Self {
        let record = &entry.record;
        Self {
            tenant_id: run.tenant.uuid(),
            run_id: run.id.uuid(),
            seq: int(entry.seq),
            epoch: int(entry.epoch),
            at: entry.at,
            key: record.key.as_str(),
            kind: record.kind.as_str(),
            status: StatusColumns::of(&record.status),
            size: limit(record.status.size()),
            input: record.input.as_ref().map(|digest| &digest.as_bytes()[..]),
            attempt: record.attempt.into(),
            duration_micros: micros(record.duration),
            usage: record.usage.as_ref().map(UsageColumns::of).unwrap_or_default(),
        }
    }
}

/// How the work of an entry stands, in columns.
#[derive(Default)]
pub(crate) struct StatusColumns<'a> {
    pub word: &'static str,
    pub opening: Option<String>,
    pub payload: PayloadColumns<'a>,
    pub failure: FailureColumns<'a>,
    pub actor: Option<&'a str>,
    pub reason: Option<&'a str>,
}

impl<'a> StatusColumns<'a> {
    fn of(status: &'a EntryStatus) -> Self {
        let none = Self::default();
        match status {
            EntryStatus::Opened(opening) => Self {
                word: "opened",
                opening: Some(documents::text(&OpeningDocument::of(opening))),
                payload: opened_with(opening).map(PayloadColumns::of).unwrap_or_default(),
                ..none
            },
            EntryStatus::Succeeded(payload) => {
                Self { word: "succeeded", payload: PayloadColumns::of(payload), ..none }
            }
            EntryStatus::Failed(failure) => {
                Self { word: "failed", failure: FailureColumns::of(failure), ..none }
            }
            EntryStatus::Steered(steering) => Self {
                word: "steered",
                actor: Some(&steering.actor),
                reason: Some(&steering.reason),
                ..none
            },
        }
    }
}

/// The payload of what is opened, which has columns of its own.
fn opened_with(opening: &Opening) -> Option<&Payload> {
    match opening {
        Opening::Started | Opening::Again => None,
        Opening::Interrupt(question) => Some(&question.payload),
        Opening::Child(call) => Some(&call.input),
    }
}

/// A row of `inbox`.
pub(crate) struct ItemColumns<'a> {
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub number: i64,
    pub source: &'a str,
    pub topic: &'static str,
    pub name: &'a str,
    pub payload: PayloadColumns<'a>,
    pub failure: FailureColumns<'a>,
    /// JSON.
    pub usage: Option<String>,
    pub at: Timestamp,
}

impl<'a> ItemColumns<'a> {
    pub(super) fn of(run: &Run, item: &'a InboxItem) -> Self {
        let (topic, name) = match &item.topic {
            Topic::Signal(name) => ("signal", name.as_str()),
            Topic::Wait(key) => ("wait", key.as_str()),
        };
        let (payload, failure) = result(&item.result);
        Self {
            tenant_id: run.tenant.uuid(),
            run_id: run.id.uuid(),
            number: int(item.number),
            source: &item.source,
            topic,
            name,
            payload,
            failure,
            usage: item.usage.as_ref().map(|usage| documents::text(&UsageDocument::of(usage))),
            at: item.at,
        }
    }
}
