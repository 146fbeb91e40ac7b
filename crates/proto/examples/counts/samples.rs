//! What the paths are given: ordinary steps of 256 bytes, as `scripts/bench` has them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tenure_core::run::{Commit, NewRun, Outcome, RetryPolicy};
use tenure_core::{
    AgentId, Digest, Entry, EntryKind, EntryStatus, LeaseId, Payload, Record, Run, RunId, Scope,
    TenantId, Timestamp, WorkerId,
};
use tenure_proto::v1;
use uuid::Uuid;

/// When everything happens.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_123_456);
/// How long a lease lasts.
pub(crate) const TTL: Duration = Duration::from_secs(30);
/// What every step was given.
pub(crate) const FINGERPRINT: Digest = Digest::from_bytes([7; 32]);

const ID: Uuid = Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057);
const RUN: RunId = RunId::new(ID);
const LEASE: LeaseId = LeaseId::new(ID);

/// A commit before it is encoded: a request without records, as a worker has it, and its record.
pub(crate) struct Asked {
    pub(crate) beginning: v1::CommitRequest,
    pub(crate) record: Record,
}

/// A leased run before it is encoded and after it is decoded.
#[derive(Debug, PartialEq)]
pub(crate) struct Leased {
    pub(crate) run: RunId,
    pub(crate) lease: LeaseId,
    pub(crate) input: Payload,
    pub(crate) journal: Vec<Entry>,
}

/// A run, and the commit of a step of it.
pub(crate) fn step() -> Result<(Run, Commit)> {
    Ok((running()?, commit(None)?))
}

/// A run, and the commit of its last step together with its end.
pub(crate) fn end() -> Result<(Run, Commit)> {
    Ok((running()?, commit(Some(Outcome::Succeed(payload())))?))
}

/// The journal of so many steps.
pub(crate) fn journal(steps: u32) -> Result<Vec<Entry>> {
    let entry = |n| Ok(Entry { seq: u64::from(n) + 1, epoch: 1, at: NOW, record: record(n)? });
    (0..steps).map(entry).collect()
}

/// A commit of one record.
pub(crate) fn asked() -> Result<Asked> {
    let beginning = v1::CommitRequest {
        tenant: "default".into(),
        run: RUN.to_string(),
        lease: LEASE.to_string(),
        expected_seq: 1,
        ..v1::CommitRequest::default()
    };
    Ok(Asked { beginning, record: record(0)? })
}

/// Commits of as many runs as share a call on a busy worker.
pub(crate) fn batch() -> Result<Vec<Asked>> {
    (0..20).map(|_| asked()).collect()
}

/// A run with a page of its journal.
pub(crate) fn leased() -> Result<Leased> {
    Ok(Leased { run: RUN, lease: LEASE, input: payload(), journal: journal(20)? })
}

fn running() -> Result<Run> {
    let new = NewRun {
        id: RUN,
        tenant: TenantId::new(ID),
        agent: AgentId::new(ID),
        version: 1,
        pool: "default".parse()?,
        input: payload(),
        labels: BTreeMap::new(),
        start_after: Duration::ZERO,
        max_attempts: None,
        retry: RetryPolicy::default(),
        priority: 0,
        timeout: None,
        concurrency: None,
        parent: None,
        depth: 0,
        entries: 0,
        check: None,
        budget: tenure_core::Budget::default(),
    };
    let created = Run::create(new, true, NOW)?;
    Ok(created.run.lease(LEASE, WorkerId::new(ID), NOW, TTL)?.run)
}

fn commit(outcome: Option<Outcome>) -> Result<Commit> {
    let records = vec![record(0)?];
    Ok(Commit { lease: LEASE, expected_seq: 1, records, outcome, digest: FINGERPRINT })
}

fn record(n: u32) -> Result<Record> {
    Ok(Record {
        key: Scope::root().child("turn", 0)?.key("tool:search", n)?,
        kind: EntryKind::Tool,
        status: EntryStatus::Succeeded(payload()),
        input: Some(FINGERPRINT),
        attempt: 1,
        duration: Duration::from_millis(1),
        usage: None,
    })
}

fn payload() -> Payload {
    Payload::json(vec![b'x'; 256])
}
