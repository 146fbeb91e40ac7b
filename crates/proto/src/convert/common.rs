use std::time::Duration;

use tenure_core::{
    Budget, Digest, Entry, EntryKind, EntryStatus, Error, Failure, Payload, Record, Result,
    Timestamp, Usage,
};

use super::{opening, opening_in, steering, steering_in};
use crate::v1;

/// The value of a field that must be there.
pub fn required<T>(field: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::invalid(format!("{field} is missing")))
}

/// A moment, as the wire says it.
pub fn timestamp(at: Timestamp) -> pbjson_types::Timestamp {
    let micros = at.micros();
    pbjson_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0) * 1_000,
    }
}

/// A moment from the wire; left out, it is 1970.
pub fn timestamp_in(at: Option<&pbjson_types::Timestamp>) -> Timestamp {
    let micros = |at: &pbjson_types::Timestamp| {
        at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1_000)
    };
    Timestamp::from_micros(at.map_or(0, micros))
}

/// A duration, as the wire says it.
pub fn duration(duration: Duration) -> pbjson_types::Duration {
    pbjson_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// A duration from the wire; left out, it is zero.
pub fn duration_in(field: &str, duration: Option<pbjson_types::Duration>) -> Result<Duration> {
    let Some(duration) = duration else {
        return Ok(Duration::ZERO);
    };
    match (u64::try_from(duration.seconds), u32::try_from(duration.nanos)) {
        (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Ok(Duration::new(seconds, nanos)),
        _ => Err(Error::invalid(format!("{field} is not a duration of zero or more"))),
    }
}

/// A duration from the wire, if there is one.
pub fn duration_if(
    field: &str,
    duration: Option<pbjson_types::Duration>,
) -> Result<Option<Duration>> {
    duration.map(|duration| duration_in(field, Some(duration))).transpose()
}

/// A payload, as the wire says it.
pub fn payload(payload: Payload) -> v1::Payload {
    let Payload { content_type, encoding, data } = payload;
    v1::Payload { content_type, encoding, data }
}

/// A payload from the wire; left out, it is empty.
pub fn payload_in(payload: Option<v1::Payload>) -> Payload {
    let v1::Payload { content_type, encoding, data } = payload.unwrap_or_default();
    Payload { content_type, encoding, data }
}

/// A failure, as the wire says it.
pub fn failure(failure: Failure) -> v1::Failure {
    let Failure { code, message, retryable, retry_after: _ } = failure;
    v1::Failure { code, message, retryable }
}

/// A failure from the wire.
pub fn failure_in(failure: v1::Failure) -> Failure {
    let v1::Failure { code, message, retryable } = failure;
    Failure { code, message, retryable, retry_after: None }
}

/// What was consumed, as the wire says it.
pub fn usage(usage: Usage) -> v1::Usage {
    v1::Usage {
        model: usage.model,
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cached_tokens: usage.cached_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        cost_micros: usage.cost_micros,
        unpriced: usage.unpriced,
        tool_calls: usage.tool_calls,
    }
}

/// What a run may use at most, as the wire says it; left out if it bounds nothing.
pub fn budget(budget: Budget) -> Option<v1::Budget> {
    let Budget { cost_micros, tokens, tool_calls } = budget;
    (!budget.is_unlimited()).then_some(v1::Budget { cost_micros, tokens, tool_calls })
}

/// What a run may use at most, from the wire; left out, it is not bounded.
pub fn budget_in(wire: Option<v1::Budget>) -> Budget {
    let v1::Budget { cost_micros, tokens, tool_calls } = wire.unwrap_or_default();
    Budget { cost_micros, tokens, tool_calls }
}

/// What was consumed, from the wire.
pub fn usage_in(usage: v1::Usage) -> Usage {
    Usage {
        model: usage.model,
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cached_tokens: usage.cached_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        cost_micros: usage.cost_micros,
        unpriced: usage.unpriced,
        tool_calls: usage.tool_calls,
    }
}

/// A committed record with its place, as the wire says it.
pub fn entry(entry: Entry) -> v1::Entry {
    v1::Entry {
        seq: entry.seq,
        epoch: entry.epoch,
        at: Some(timestamp(entry.at)),
        record: Some(record(entry.record)),
    }
}

/// A committed record with its place, from the wire.
pub fn entry_in(entry: v1::Entry) -> Result<Entry> {
    Ok(Entry {
        seq: entry.seq,
        epoch: entry.epoch,
        at: timestamp_in(entry.at.as_ref()),
        record: record_in(required("entry.record", entry.record)?)?,
    })
}

/// What a worker asks to have recorded, as the wire says it.
pub fn record(record: Record) -> v1::Record {
    v1::Record {
        key: record.key.to_string(),
        kind: kind(record.kind).into(),
        input_digest: record
            .input
            .map(|digest| digest.as_bytes().to_vec().into())
            .unwrap_or_default(),
        attempt: record.attempt,
        duration: Some(duration(record.duration)),
        usage: record.usage.map(usage),
        status: Some(match record.status {
            EntryStatus::Succeeded(result) => v1::record::Status::Succeeded(payload(result)),
            EntryStatus::Failed(reason) => v1::record::Status::Failed(failure(reason)),
            EntryStatus::Opened(what) => v1::record::Status::Opened(opening(what)),
            EntryStatus::Steered(by) => v1::record::Status::Steered(steering(by)),
        }),
    }
}

/// A record from the wire.
pub fn record_in(record: v1::Record) -> Result<Record> {
    let key = record.key.parse()?;
    let kind = kind_in(record.kind())
        .ok_or_else(|| Error::invalid(format!("entry `{key}`: kind is missing or unknown")))?;
    let status = required(&format!("entry `{key}`: status"), record.status)?;
    Ok(Record {
        kind,
        status: match status {
            v1::record::Status::Succeeded(result) => {
                EntryStatus::Succeeded(payload_in(Some(result)))
            }
            v1::record::Status::Failed(reason) => EntryStatus::Failed(failure_in(reason)),
            v1::record::Status::Opened(what) => EntryStatus::Opened(opening_in(&key, what)?),
            v1::record::Status::Steered(by) => EntryStatus::Steered(steering_in(Some(by))),
        },
        input: match &*record.input_digest {
            [] => None,
            bytes => Some(Digest::try_from(bytes)?),
        },
        attempt: record.attempt,
        duration: duration_in(&format!("entry `{key}`: duration"), record.duration)?,
        usage: record.usage.map(usage_in),
        key,
    })
}

fn kind(kind: EntryKind) -> v1::EntryKind {
    match kind {
        EntryKind::Step => v1::EntryKind::Step,
        EntryKind::Model => v1::EntryKind::Model,
        EntryKind::Tool => v1::EntryKind::Tool,
        EntryKind::Wait => v1::EntryKind::Wait,
        EntryKind::Child => v1::EntryKind::Child,
        EntryKind::Artifact => v1::EntryKind::Artifact,
        EntryKind::Marker => v1::EntryKind::Marker,
        EntryKind::Steering => v1::EntryKind::Steering,
    }
}

fn kind_in(wire: v1::EntryKind) -> Option<EntryKind> {
    EntryKind::ALL.into_iter().find(|known| kind(*known) == wire)
}

#[cfg(test)]
mod tests {
    use tenure_core::{Call, Decision, Opening, Question, QuestionKind, Steering};

    use super::*;

    fn question() -> Question {
        Question {
            kind: QuestionKind::Input,
            title: "which one?".into(),
            payload: Payload::json("{}"),
            schema: "{}".into(),
            decisions: vec![Decision::Respond, Decision::Reject],
            assignee: "role:lead".into(),
            timeout: Some(Duration::from_secs(9)),
            default: Some(Decision::Reject),
        }
    }

    #[test]
    fn times_before_1970_and_after_keep_their_microseconds() {
        for micros in [-1, 0, 1, 1_700_000_000_123_456] {
            let wire = timestamp(Timestamp::from_micros(micros));
            assert_eq!(wire.seconds * 1_000_000 + i64::from(wire.nanos) / 1_000, micros);
        }
    }

    #[test]
    fn a_record_comes_back_from_the_wire() {
        let statuses = [
            EntryStatus::Succeeded(Payload::json("1")),
            EntryStatus::Failed(Failure::retryable("http_500", "it is down")),
            EntryStatus::Steered(Steering::new("ann", "it is late")),
            EntryStatus::Opened(Opening::Started),
            EntryStatus::Opened(Opening::Again),
            EntryStatus::Opened(Opening::Interrupt(Box::new(question()))),
            EntryStatus::Opened(Opening::Child(Box::new(Call {
                agent: "other".parse().unwrap(),
                version: "stable".into(),
                input: Payload::json("[]"),
                detached: true,
                budget: Budget { tokens: Some(0), ..Budget::default() },
            }))),
        ];
        for (kind, status) in EntryKind::ALL.into_iter().cycle().zip(statuses) {
            let sent = Record {
                key: "turn/3/tool:x#1".parse().unwrap(),
                kind,
                status,
                input: Some(Digest::of("input")),
                attempt: 2,
                duration: Duration::from_micros(1_500_001),
                usage: Some(Usage { model: "m".into(), input_tokens: 7, ..Usage::default() }),
            };
            assert_eq!(record_in(record(sent.clone())).unwrap(), sent);
        }
    }

    #[test]
    fn what_is_wrong_with_a_record_is_named() {
        let good = v1::Record {
            key: "plan".into(),
            kind: v1::EntryKind::Step.into(),
            status: Some(v1::record::Status::Succeeded(v1::Payload::default())),
            attempt: 1,
            ..v1::Record::default()
        };
        let wrong: [(&str, v1::Record); 5] = [
            ("not a journal key", v1::Record { key: "a b".into(), ..good.clone() }),
            ("kind is missing", v1::Record { kind: 0, ..good.clone() }),
            ("kind is missing or unknown", v1::Record { kind: 99, ..good.clone() }),
            ("status is missing", v1::Record { status: None, ..good.clone() }),
            ("a digest has 32 bytes", v1::Record { input_digest: "x".into(), ..good.clone() }),
        ];
        for (problem, record) in wrong {
            let error = record_in(record).unwrap_err();
            assert!(error.message().contains(problem), "{error}");
        }
        assert!(record_in(good).is_ok());
    }
}
