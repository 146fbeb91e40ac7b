use prost::Message as _;
use tenure_core::run::{Commit, InboxItem, Outcome};
use tenure_core::{Digest, Result, Timestamp};

use super::common::failure_in;
use super::{duration_in, payload, payload_in, record_in, required};
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
            retry_after: match fail.retry_after {
                None => None,
                pause => Some(duration_in("outcome.fail.retry_after", pause)?),
            },
        },
        Wire::Suspend(suspend) => Outcome::Suspend {
            inbox: suspend.inbox,
            wake_after: match suspend.wake_after {
                None => None,
                pause => Some(duration_in("outcome.suspend.wake_after", pause)?),
            },
        },
        Wire::Block(why) => Outcome::Block(failure_in(why)),
        Wire::Release(v1::Release {}) => Outcome::Release,
        Wire::Cancelled(v1::Cancelled {}) => Outcome::Cancelled,
    })
}

/// Something in a run's inbox, as the wire says it.
pub fn inbox_item(item: InboxItem) -> v1::InboxItem {
    v1::InboxItem {
        number: item.number,
        name: item.name.to_string(),
        payload: Some(payload(item.payload)),
    }
}

/// Something in a run's inbox, from the wire. A worker need not know who sent it, and when.
pub fn inbox_item_in(item: v1::InboxItem) -> Result<InboxItem> {
    Ok(InboxItem {
        number: item.number,
        source: String::new(),
        name: item.name.parse()?,
        payload: payload_in(item.payload),
        at: Timestamp::default(),
    })
}
