//! A run in every state, and commands to give it.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::run::{Commit, Committed, NewRun, Outcome};
use tenure_core::{
    AgentId, Digest, EntryKind, EntryStatus, Failure, LeaseId, Payload, Record, Result, Run, RunId,
    TenantId, Timestamp, Transition, WorkerId,
};
use uuid::Uuid;

pub(crate) const TTL: Duration = Duration::from_secs(30);
pub(crate) const GRACE: Duration = Duration::from_secs(30);
pub(crate) const OFFER: Duration = Duration::from_secs(10);

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000) + Duration::from_secs(seconds)
}

pub(crate) fn lease_id(number: u128) -> LeaseId {
    LeaseId::new(Uuid::from_u128(number))
}

pub(crate) fn worker() -> WorkerId {
    WorkerId::new(Uuid::from_u128(7))
}

pub(crate) fn created() -> Transition {
    let new = NewRun {
        id: RunId::new(Uuid::from_u128(1)),
        tenant: TenantId::new(Uuid::from_u128(2)),
        agent: AgentId::new(Uuid::from_u128(3)),
        version: 1,
        pool: "default".parse().unwrap(),
        input: Payload::json("{}"),
        labels: BTreeMap::new(),
        start_after: Duration::ZERO,
        max_attempts: None,
    };
    Run::create(new, at(0)).unwrap()
}

pub(crate) fn record(key: &str) -> Record {
    Record {
        key: key.parse().unwrap(),
        kind: EntryKind::Step,
        status: EntryStatus::Succeeded(Payload::json("1")),
        input: None,
        attempt: 1,
        duration: Duration::from_millis(3),
        usage: None,
    }
}

pub(crate) fn commit(
    lease: LeaseId,
    expected_seq: u64,
    keys: &[&str],
    outcome: Option<Outcome>,
) -> Commit {
    let records: Vec<Record> = keys.iter().map(|key| record(key)).collect();
    let digest = Digest::of(format!("{lease} {expected_seq} {records:?} {outcome:?}"));
    Commit { lease, expected_seq, records, outcome, digest }
}

pub(crate) fn apply(run: &Run, commit: Commit, now: Timestamp) -> Result<Option<Transition>> {
    Ok(match run.commit(commit, now, TTL)? {
        Committed::Applied(transition) => Some(*transition),
        Committed::Repeated => None,
    })
}

pub(crate) fn fail(retry_after: Option<Duration>) -> Outcome {
    Outcome::Fail { failure: Failure::permanent("broken", "it broke"), retry_after }
}
