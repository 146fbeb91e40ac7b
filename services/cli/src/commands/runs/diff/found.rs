//! What a run has come to, key by key.

use std::collections::HashMap;

use serde_json::Value;
use tenure_core::Payload;
use tenure_sdk::v1;
use tenure_sdk::v1::opening::Opening;
use tenure_sdk::v1::record::Status;

use crate::timeline;
use crate::ui::text;

/// The rows for what is not in a journal. No key looks like this.
const INPUT: &str = "(input)";
const OUTCOME: &str = "(outcome)";

/// A run and its journal.
pub(super) struct Journal {
    pub(super) run: v1::Run,
    pub(super) entries: Vec<v1::Entry>,
}

/// What stands under a key in the end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) key: String,
    pub(super) status: Option<Status>,
    pub(super) input: Vec<u8>,
}

/// What a run has come to, by key in the order of its journal: of several entries under a key the
/// last one counts, and what people did to the run is not its work.
pub(super) fn results(journal: &Journal) -> Vec<Found> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut found: Vec<Found> = Vec::with_capacity(journal.entries.len() + 2);
    found.push(Found::of(INPUT, journal.run.input.clone().map(Status::Succeeded)));
    for record in journal.entries.iter().filter_map(|entry| entry.record.clone()) {
        if matches!(record.status, Some(Status::Steered(_))) {
            continue;
        }
        let last =
            Found { key: record.key, status: record.status, input: record.input_digest.into() };
        if let Some(place) = places.get(&last.key) {
            found[*place] = last;
        } else {
            places.insert(last.key.clone(), found.len());
            found.push(last);
        }
    }
    found.push(Found::of(OUTCOME, outcome(&journal.run)));
    found
}

impl Found {
    fn of(key: &str, status: Option<Status>) -> Self {
        Self { key: key.to_owned(), status, input: Vec::new() }
    }

    /// What it says, on one line.
    pub(super) fn value(&self) -> String {
        match &self.status {
            Some(Status::Succeeded(payload)) => text::short_payload(payload, usize::MAX),
            Some(Status::Failed(failure)) => format!("failed: {}", timeline::failure(failure)),
            Some(Status::Opened(opening)) => begun(opening),
            Some(Status::Steered(_)) | None => String::new(),
        }
    }
}

/// What has begun and not ended.
fn begun(opening: &v1::Opening) -> String {
    let about = |payload: &Option<v1::Payload>| {
        payload.as_ref().map_or(String::new(), |payload| text::short_payload(payload, usize::MAX))
    };
    match &opening.opening {
        Some(Opening::Interrupt(question)) => format!("asks {}", about(&question.payload)),
        Some(Opening::Child(call)) => {
            format!("calls {} {}", text::line(&call.agent), about(&call.input))
        }
        Some(Opening::Started(_) | Opening::Again(_)) | None => "begun".into(),
    }
}

fn outcome(run: &v1::Run) -> Option<Status> {
    let output = run.output.clone().map(Status::Succeeded);
    output.or_else(|| run.failure.clone().map(Status::Failed))
}

/// Whether two results say the same. The order of the names in JSON says nothing.
pub(super) fn same(a: &Found, b: &Found) -> bool {
    let json = |found: &Found| match &found.status {
        Some(Status::Succeeded(payload)) if payload.content_type == Payload::JSON => {
            serde_json::from_slice::<Value>(&payload.data).ok()
        }
        _ => None,
    };
    a.status == b.status || json(a).is_some_and(|value| Some(value) == json(b))
}
