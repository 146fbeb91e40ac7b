use prost::Message as _;
use tenure_core::run::{Commit, InboxItem, Outcome, Topic};
use tenure_core::{Digest, Key, Result, StreamEvent, Timestamp};

use super::{
    duration_if, failure, failure_in, payload, payload_in, record_in, required, usage, usage_in,
};
use crate::v1;

/// A commit from the wire, without the run that it is for.
pub fn commit_in(request: v1::CommitRequest) -> Result<Commit> {
    // The bytes of the request are its identity: only the very same one is a repetition.
    let digest = Digest::of(request.encode_to_vec());
    Ok(Commit {
        lease: request.lease.parse()?,
        expected_seq: request.expected_seq,
        records: request.records.into_iter().map(record_in).collect::<Result<_>>()?,
        outcome: request.outcome.map(outcome_in).transpose()?,
        digest,
    })
}

/// How a worker ends its lease, from the wire.
pub fn outcome_in(outcome: v1::Outcome) -> Result<Outcome> {
    use v1::outcome::Outcome as Wire;
    Ok(match required("outcome", outcome.outcome)? {
        Wire::Succeed(output) => Outcome::Succeed(payload_in(Some(output))),
        Wire::Fail(fail) => Outcome::Fail {
            failure: failure_in(required("outcome.fail.failure", fail.failure)?),
            retry_after: duration_if("outcome.fail.retry_after", fail.retry_after)?,
            again: keys_in(&fail.again)?,
        },
        Wire::Suspend(suspend) => Outcome::Suspend {
            inbox: suspend.inbox,
            wake_after: duration_if("outcome.suspend.wake_after", suspend.wake_after)?,
            on: keys_in(&suspend.on)?,
        },
        Wire::Block(why) => Outcome::Block(failure_in(why)),
        Wire::Release(v1::Release {}) => Outcome::Release,
        Wire::Cancelled(v1::Cancelled {}) => Outcome::Cancelled,
    })
}

fn keys_in(keys: &[String]) -> Result<Vec<Key>> {
    keys.iter().map(|key| key.parse()).collect()
}

/// Something in a run's inbox, as the wire says it.
pub fn inbox_item(item: InboxItem) -> v1::InboxItem {
    use v1::inbox_item::{Result as Outcome, Topic as About};
    v1::InboxItem {
        number: item.number,
        topic: Some(match item.topic {
            Topic::Signal(name) => About::Signal(name.to_string()),
            Topic::Wait(key) => About::Wait(key.to_string()),
        }),
        result: Some(match item.result {
            Ok(result) => Outcome::Payload(payload(result)),
            Err(why) => Outcome::Failure(failure(why)),
        }),
        usage: item.usage.map(usage),
    }
}

/// Something in a run's inbox, from the wire. A worker need not know who sent it, and when.
pub fn inbox_item_in(item: v1::InboxItem) -> Result<InboxItem> {
    use v1::inbox_item::{Result as Outcome, Topic as About};
    Ok(InboxItem {
        number: item.number,
        source: String::new(),
        topic: match required("item.topic", item.topic)? {
            About::Signal(name) => Topic::Signal(name.parse()?),
            About::Wait(key) => Topic::Wait(key.parse()?),
        },
        result: match required("item.result", item.result)? {
            Outcome::Payload(result) => Ok(payload_in(Some(result))),
            Outcome::Failure(why) => Err(failure_in(why)),
        },
        usage: item.usage.map(usage_in),
        at: Timestamp::default(),
    })
}

/// What a step says, as the wire has it.
pub fn stream_event(event: StreamEvent) -> v1::StreamEvent {
    let StreamEvent { key, epoch, attempt, index, kind, content_type, data } = event;
    v1::StreamEvent { key: key.to_string(), epoch, attempt, index, kind, content_type, data }
}

/// What a step says, from the wire.
pub fn stream_event_in(event: v1::StreamEvent) -> Result<StreamEvent> {
    let v1::StreamEvent { key, epoch, attempt, index, kind, content_type, data } = event;
    let key = key.parse()?;
    StreamEvent { key, epoch, attempt, index, kind, content_type, data }.checked()
}
