//! The calls of tools that models wanted in a run, out of its journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_sdk::v1;

use crate::problem::Problem;
use crate::session::{Session, answer};

/// A call that a model wanted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Made {
    /// Where it stands in the journal, without the tool's name.
    pub(super) key: String,
    /// The tool's name.
    pub(super) tool: String,
    /// The tool's effect, if it is on record; else the strictest.
    pub(super) effect: String,
    /// What it was called with.
    pub(super) arguments: Value,
}

/// What is read of a model's reply.
#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    calls: Vec<Called>,
}

#[derive(Deserialize)]
struct Called {
    name: String,
    #[serde(default)]
    arguments: Value,
}

/// What is read of a policy's decision.
#[derive(Deserialize)]
struct Decided {
    effect: String,
}

/// The agent of a run, and the calls that its models wanted, in their order.
pub(super) async fn of(session: &Session, run: &str) -> Result<(String, Vec<Made>), Problem> {
    let agent = session.run(run).await?.agent;
    let mut records = Vec::new();
    let mut after_seq = 0;
    loop {
        let (tenant, run) = (session.tenant(), run.to_owned());
        let request = v1::ListEntriesRequest { tenant, run, after_seq, page_size: 0 };
        let page = answer!(session.client.runs().list_entries(request))?;
        after_seq = page.entries.last().map_or(after_seq, |entry| entry.seq);
        records.extend(page.entries.into_iter().filter_map(|entry| entry.record));
        if !page.more {
            return Ok((agent, made(&records)));
        }
    }
}

fn made(records: &[v1::Record]) -> Vec<Made> {
    let decided = records.iter().filter_map(|record| {
        let place = record.key.strip_suffix("/policy")?;
        Some((place, payload::<Decided>(record)?.effect))
    });
    let effects: BTreeMap<&str, String> = decided.collect();
    let models = records.iter().filter(|record| record.kind() == v1::EntryKind::Model);
    let calls = models.filter_map(|record| {
        let (scope, _) = record.key.rsplit_once('/')?;
        Some((scope, payload::<Reply>(record)?.calls))
    });
    let place = |(scope, calls): (&str, Vec<Called>)| {
        let scope = scope.to_owned();
        let numbered = calls.into_iter().enumerate();
        numbered
            .map(move |(place, call)| (format!("{scope}/call/{place}"), call))
            .collect::<Vec<_>>()
    };
    let made = |(key, call): (String, Called)| {
        let effect = effects.get(&*key).cloned().unwrap_or_else(|| "once".into());
        Made { key, tool: call.name, effect, arguments: call.arguments }
    };
    calls.flat_map(place).map(made).collect()
}

/// What a record succeeded with, if it reads as that.
fn payload<'a, T: Deserialize<'a>>(record: &'a v1::Record) -> Option<T> {
    match &record.status {
        Some(v1::record::Status::Succeeded(payload)) => serde_json::from_slice(&payload.data).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(key: &str, kind: v1::EntryKind, value: &Value) -> v1::Record {
        let data = value.to_string().into();
        let payload = v1::Payload { data, ..v1::Payload::default() };
        let status = Some(v1::record::Status::Succeeded(payload));
        v1::Record { key: key.into(), kind: kind.into(), status, ..v1::Record::default() }
    }

    #[test]
    fn calls_are_found_with_the_effects_that_are_on_record() {
        let calls = json!([{"name": "read", "arguments": {"a": 1}}, {"name": "send"}]);
        let made = made(&[
            record("turn/0/model", v1::EntryKind::Model, &json!({"text": "", "calls": calls})),
            record("turn/0/call/0/policy", v1::EntryKind::Marker, &json!({"effect": "read"})),
            record("turn/1/model", v1::EntryKind::Model, &json!({"text": "done"})),
        ]);
        let told: Vec<_> =
            made.iter().map(|call| (&*call.key, &*call.tool, &*call.effect)).collect();
        assert_eq!(told, [("turn/0/call/0", "read", "read"), ("turn/0/call/1", "send", "once")]);
        assert_eq!(made[0].arguments, json!({"a": 1}));
    }
}
