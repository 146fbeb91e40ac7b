//! A run in every state, and commands to give it.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::run::{
    Commit, Committed, Concurrency, NewRun, Outcome, Parent, Policy, RetryPolicy,
};
use tenure_core::{
    AgentId, Budget, Call, Decision, Digest, EntryKind, EntryStatus, Failure, LeaseId, Opening,
    Payload, Question, Record, Result, Run, RunId, Steering, TenantId, Timestamp, Transition,
    WorkerId,
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

/// When a run of the tests fails unless it has ended.
pub(crate) const DEADLINE: Duration = Duration::from_hours(9);

/// What a run of the tests is made of: everything that can be caused elsewhere is.
pub(crate) fn new_run() -> NewRun {
    NewRun {
        id: RunId::new(Uuid::from_u128(1)),
        tenant: TenantId::new(Uuid::from_u128(2)),
        agent: AgentId::new(Uuid::from_u128(3)),
        version: 1,
        pool: "default".parse().unwrap(),
        input: Payload::json("{}"),
        labels: BTreeMap::new(),
        start_after: Duration::ZERO,
        max_attempts: None,
        retry: RetryPolicy {
            limit: 2,
            backoff: Duration::from_secs(10),
            max_backoff: Duration::from_mins(1),
        },
        priority: 0,
        budget: Budget { tokens: Some(100), ..Budget::default() },
        timeout: Some(DEADLINE),
        concurrency: Some(Concurrency { key: "session".into(), policy: Policy::Replace }),
        parent: Some(Parent {
            run: RunId::new(Uuid::from_u128(9)),
            key: "child:hello".parse().unwrap(),
            detached: false,
        }),
        depth: 1,
        entries: 0,
        check: None,
    }
}

pub(crate) fn created() -> Transition {
    Run::create(new_run(), true, at(0)).unwrap()
}

/// Somebody, for a reason.
pub(crate) fn ann() -> Steering {
    Steering::new("ann", "a reason")
}

/// A question with an hour's time.
pub(crate) fn question() -> Record {
    let question = Question {
        title: "may it?".into(),
        timeout: Some(Duration::from_hours(1)),
        default: Some(Decision::Reject),
        ..Question::default()
    };
    opened("approve", EntryKind::Wait, Opening::Interrupt(Box::new(question)))
}

/// A call of another agent.
pub(crate) fn call(key: &str) -> Record {
    let call = Call {
        agent: "other".parse().unwrap(),
        version: String::new(),
        input: Payload::json("1"),
        detached: false,
        budget: Budget::default(),
    };
    opened(key, EntryKind::Child, Opening::Child(Box::new(call)))
}

/// A record that only opens something.
pub(crate) fn opened(key: &str, kind: EntryKind, opening: Opening) -> Record {
    Record { kind, status: EntryStatus::Opened(opening), ..record(key) }
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
    commit_of(lease, expected_seq, keys.iter().map(|key| record(key)).collect(), outcome)
}

pub(crate) fn commit_of(
    lease: LeaseId,
    expected_seq: u64,
    records: Vec<Record>,
    outcome: Option<Outcome>,
) -> Commit {
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
    Outcome::Fail { failure: Failure::permanent("broken", "it broke"), retry_after, again: vec![] }
}
