//! What is written: core values taken apart into the columns that both databases have.
//!
//! Numbers are bound as signed 64 bits, saturating: that is what both databases keep, and no rule
//! depends on a larger one.

use tenure_core::agent::AliasTarget;
use tenure_core::run::{InboxItem, RunState, WaitReason};
use tenure_core::{
    Effect, Entry, EntryStatus, Failure, Payload, Run, Timestamp, Transition, Usage,
};
use uuid::Uuid;

/// Everything that transitions write, by table.
#[derive(Default)]
pub(crate) struct Changes<'a> {
    pub created: Vec<RunColumns<'a>>,
    pub updated: Vec<RunColumns<'a>>,
    pub inputs: Vec<InputColumns<'a>>,
    pub entries: Vec<EntryColumns<'a>>,
    pub received: Vec<ItemColumns<'a>>,
    pub enqueued: Vec<ReadyColumns<'a>>,
    pub dequeued: Vec<ReadyColumns<'a>>,
}

/// A row of `runs`.
#[derive(Default)]
pub(crate) struct RunColumns<'a> {
    /// The revision that the row must have; 0 for a new one.
    pub before: i64,
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub agent_id: Uuid,
    pub version: i64,
    pub pool: &'a str,
    pub state: &'static str,
    pub epoch: i64,
    pub next_seq: i64,
    pub inbox: i64,
    pub revision: i64,
    pub ready_at: Option<Timestamp>,
    pub lease_id: Option<Uuid>,
    pub lease_worker: Option<Uuid>,
    pub lease_until: Option<Timestamp>,
    pub lease_started: Option<bool>,
    pub wait_reason: Option<&'static str>,
    pub output: PayloadColumns<'a>,
    pub failure: FailureColumns<'a>,
    pub ended_at: Option<Timestamp>,
    pub cancel_reason: Option<&'a str>,
    pub cancel_force_at: Option<Timestamp>,
    pub last_commit: Option<&'a [u8]>,
    pub attempts: i64,
    pub max_attempts: i64,
    pub stalled: i64,
    pub offers: i64,
    pub usage: UsageColumns<'a>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The three columns of a payload; all of them null when there is none.
#[derive(Clone, Copy, Default)]
pub(crate) struct PayloadColumns<'a> {
    pub content_type: Option<&'a str>,
    pub encoding: Option<&'a str>,
    pub data: Option<&'a [u8]>,
}

/// The three columns of a failure; all of them null when there is none.
#[derive(Clone, Copy, Default)]
pub(crate) struct FailureColumns<'a> {
    pub code: Option<&'a str>,
    pub message: Option<&'a str>,
    pub retryable: Option<bool>,
}

/// The columns of a usage; all of them null when there is none.
#[derive(Clone, Copy, Default)]
pub(crate) struct UsageColumns<'a> {
    pub model: Option<&'a str>,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub cached_tokens: Option<i64>,
    pub reasoning_tokens: Option<i64>,
    pub cost_micros: Option<i64>,
}

/// A row of `run_inputs`.
pub(crate) struct InputColumns<'a> {
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub payload: PayloadColumns<'a>,
    pub labels: String,
}

/// A row of `journal`.
pub(crate) struct EntryColumns<'a> {
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub seq: i64,
    pub epoch: i64,
    pub at: Timestamp,
    pub key: &'a str,
    pub kind: &'static str,
    pub status: &'static str,
    pub payload: PayloadColumns<'a>,
    pub failure: FailureColumns<'a>,
    pub input: Option<&'a [u8]>,
    pub attempt: i64,
    pub duration_micros: i64,
    pub usage: UsageColumns<'a>,
}

/// A row of `inbox`.
pub(crate) struct ItemColumns<'a> {
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub number: i64,
    pub source: &'a str,
    pub name: &'a str,
    pub payload: PayloadColumns<'a>,
    pub at: Timestamp,
}

/// A row of `run_ready`; to take one out, its key is enough.
pub(crate) struct ReadyColumns<'a> {
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub pool: &'a str,
    pub ready_at: Timestamp,
}

impl<'a> Changes<'a> {
    /// Sorts what the transitions cause by table.
    pub(crate) fn of(transitions: &'a [Transition]) -> Self {
        let mut changes = Self::default();
        for transition in transitions {
            changes.add(transition);
        }
        changes
    }

    fn add(&mut self, transition: &'a Transition) {
        let run = &transition.run;
        let columns = RunColumns::of(run, transition.before);
        match transition.before {
            None => self.created.push(columns),
            Some(_) => self.updated.push(columns),
        }
        // Transitions can be joined, so a run may enter the queue and leave it in one: the last
        // one counts.
        let mut queued = None;
        for effect in &transition.effects {
            match effect {
                Effect::Open { input, labels } => self.inputs.push(InputColumns {
                    tenant_id: run.tenant.uuid(),
                    run_id: run.id.uuid(),
                    payload: PayloadColumns::of(input),
                    labels: serde_json::json!(labels).to_string(),
                }),
                Effect::Append(entry) => self.entries.push(EntryColumns::of(run, entry)),
                Effect::Receive(item) => self.received.push(ItemColumns::of(run, item)),
                Effect::Enqueue { ready_at } => queued = Some(Some(*ready_at)),
                Effect::Dequeue => queued = Some(None),
                Effect::WakeOwner(_) | Effect::WakeWatchers => {}
            }
        }
        match queued {
            Some(Some(ready_at)) => self.enqueued.push(ReadyColumns::of(run, ready_at)),
            Some(None) => self.dequeued.push(ReadyColumns::of(run, Timestamp::default())),
            None => {}
        }
    }
}

impl<'a> RunColumns<'a> {
    fn of(run: &'a Run, before: Option<u64>) -> Self {
        let mut columns = Self {
            before: int(before.unwrap_or(0)),
            tenant_id: run.tenant.uuid(),
            run_id: run.id.uuid(),
            agent_id: run.agent.uuid(),
            version: run.version.into(),
            pool: run.pool.as_str(),
            state: run.state.name().as_str(),
            epoch: int(run.epoch),
            next_seq: int(run.next_seq),
            inbox: int(run.inbox),
            revision: int(run.revision),
            cancel_reason: run.cancel.as_ref().map(|cancel| cancel.reason.as_str()),
            cancel_force_at: run.cancel.as_ref().map(|cancel| cancel.force_at),
            last_commit: run.last_commit.as_ref().map(|digest| &digest.as_bytes()[..]),
            attempts: run.attempts.into(),
            max_attempts: run.max_attempts.into(),
            stalled: run.stalled.into(),
            offers: run.offers.into(),
            usage: UsageColumns::of(&run.usage),
            created_at: run.created_at,
            updated_at: run.updated_at,
            ..Self::default()
        };
        columns.set_state(&run.state);
        columns
    }

    fn set_state(&mut self, state: &'a RunState) {
        match state {
            RunState::Queued { ready_at } => self.ready_at = Some(*ready_at),
            RunState::Running { lease } => {
                self.lease_id = Some(lease.id.uuid());
                self.lease_worker = Some(lease.worker.uuid());
                self.lease_until = Some(lease.until);
                self.lease_started = Some(lease.started);
            }
            RunState::Waiting { reason: WaitReason::Inbox { until } } => {
                self.wait_reason = Some("inbox");
                self.ready_at = *until;
            }
            RunState::Waiting { reason: WaitReason::Blocked(failure) } => {
                self.wait_reason = Some("blocked");
                self.failure = FailureColumns::of(failure);
            }
            RunState::Succeeded { output, at } => {
                self.output = PayloadColumns::of(output);
                self.ended_at = Some(*at);
            }
            RunState::Failed { failure, at } => {
                self.failure = FailureColumns::of(failure);
                self.ended_at = Some(*at);
            }
            RunState::Cancelled { reason, at } => {
                self.cancel_reason = Some(reason);
                self.ended_at = Some(*at);
            }
        }
    }
}

impl<'a> PayloadColumns<'a> {
    pub(crate) fn of(payload: &'a Payload) -> Self {
        Self {
            content_type: Some(&payload.content_type),
            encoding: Some(&payload.encoding),
            data: Some(&payload.data),
        }
    }
}

impl<'a> FailureColumns<'a> {
    fn of(failure: &'a Failure) -> Self {
        Self {
            code: Some(&failure.code),
            message: Some(&failure.message),
            retryable: Some(failure.retryable),
        }
    }
}

impl<'a> UsageColumns<'a> {
    fn of(usage: &'a Usage) -> Self {
        Self {
            model: Some(&usage.model),
            input_tokens: Some(int(usage.input_tokens)),
            output_tokens: Some(int(usage.output_tokens)),
            cached_tokens: Some(int(usage.cached_tokens)),
            reasoning_tokens: Some(int(usage.reasoning_tokens)),
            cost_micros: Some(int(usage.cost_micros)),
        }
    }
}

impl<'a> EntryColumns<'a> {
    fn of(run: &Run, entry: &'a Entry) -> Self {
        let record = &entry.record;
        let (status, payload, failure) = match &record.status {
            EntryStatus::Succeeded(payload) => {
                ("succeeded", PayloadColumns::of(payload), FailureColumns::default())
            }
            EntryStatus::Failed(failure) => {
                ("failed", PayloadColumns::default(), FailureColumns::of(failure))
            }
        };
        Self {
            tenant_id: run.tenant.uuid(),
            run_id: run.id.uuid(),
            seq: int(entry.seq),
            epoch: int(entry.epoch),
            at: entry.at,
            key: record.key.as_str(),
            kind: record.kind.as_str(),
            status,
            payload,
            failure,
            input: record.input.as_ref().map(|digest| &digest.as_bytes()[..]),
            attempt: record.attempt.into(),
            duration_micros: i64::try_from(record.duration.as_micros()).unwrap_or(i64::MAX),
            usage: record.usage.as_ref().map(UsageColumns::of).unwrap_or_default(),
        }
    }
}

impl<'a> ItemColumns<'a> {
    fn of(run: &Run, item: &'a InboxItem) -> Self {
        Self {
            tenant_id: run.tenant.uuid(),
            run_id: run.id.uuid(),
            number: int(item.number),
            source: &item.source,
            name: item.name.as_str(),
            payload: PayloadColumns::of(&item.payload),
            at: item.at,
        }
    }
}

impl<'a> ReadyColumns<'a> {
    fn of(run: &'a Run, ready_at: Timestamp) -> Self {
        let (tenant_id, run_id) = (run.tenant.uuid(), run.id.uuid());
        Self { tenant_id, run_id, pool: run.pool.as_str(), ready_at }
    }
}

/// The JSON of an alias' targets: `[{"version": 3, "weight": 9}]`.
pub(crate) fn targets(targets: &[AliasTarget]) -> String {
    let one = |target: &AliasTarget| serde_json::json!({ "version": target.version, "weight": target.weight });
    serde_json::Value::Array(targets.iter().map(one).collect()).to_string()
}

/// A count as both databases keep it.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit as both databases take it.
pub(crate) fn limit(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
