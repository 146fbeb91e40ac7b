//! The rows of a run: its hot one, what it was given, and its place in the queue.

use std::collections::BTreeMap;

use tenure_core::run::{Parent, Request, WaitReason};
use tenure_core::{Key, Payload, Run, RunId, RunState, Steering, Timestamp, Usage};
use uuid::Uuid;

use super::{FailureColumns, PayloadColumns, UsageColumns, int, micros};
use crate::documents::{self, BudgetDocument, UsageDocument};

/// A row of `runs`.
#[derive(Default)]
pub(crate) struct RunColumns<'a> {
    /// The revision that the row must have; 0 for a new one.
    pub before: i64,
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    // What may change.
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
    pub wait_on: Option<String>,
    pub output: PayloadColumns<'a>,
    pub failure: FailureColumns<'a>,
    pub ended_at: Option<Timestamp>,
    pub request: Option<&'static str>,
    pub steer_actor: Option<&'a str>,
    pub steer_reason: Option<&'a str>,
    pub cancel_force_at: Option<Timestamp>,
    pub last_commit: Option<&'a [u8]>,
    pub attempts: i64,
    pub stalled: i64,
    pub offers: i64,
    pub retried: i64,
    pub priority: i64,
    pub children: i64,
    pub interrupts: i64,
    pub posted: i64,
    pub usage: UsageColumns<'a>,
    /// JSON; nothing until a called run has used something.
    pub called: Option<String>,
    pub updated_at: Timestamp,
    // What does not.
    pub agent_id: Uuid,
    pub version: i64,
    pub pool: &'a str,
    pub max_attempts: i64,
    pub retry_limit: i64,
    pub retry_backoff_micros: i64,
    pub retry_max_backoff_micros: i64,
    pub start_at: Timestamp,
    pub deadline: Option<Timestamp>,
    pub concurrency_key: Option<&'a str>,
    pub parent_run: Option<Uuid>,
    pub parent_key: Option<&'a str>,
    pub detached: Option<bool>,
    pub depth: i64,
    pub check_run: Option<Uuid>,
    /// JSON; nothing if it bounds nothing.
    pub budget: Option<String>,
    pub created_at: Timestamp,
}

impl<'a> RunColumns<'a> {
    pub(super) fn of(run: &'a Run, before: Option<u64>) -> Self {
        let mut columns = Self {
            before: int(before.unwrap_or(0)),
            tenant_id: run.tenant.uuid(),
            run_id: run.id.uuid(),
            state: run.state.name().as_str(),
            epoch: int(run.epoch),
            next_seq: int(run.next_seq),
            inbox: int(run.inbox),
            revision: int(run.revision),
            last_commit: run.last_commit.as_ref().map(|digest| &digest.as_bytes()[..]),
            attempts: run.attempts.into(),
            stalled: run.stalled.into(),
            offers: run.offers.into(),
            retried: run.retried.into(),
            priority: run.priority.into(),
            children: run.children.into(),
            interrupts: run.interrupts.into(),
            posted: int(run.posted),
            usage: UsageColumns::of(&run.usage),
            called: used(&run.called),
            updated_at: run.updated_at,
            ..Self::given(run)
        };
        columns.set_state(&run.state);
        columns.set_request(run.request.as_ref());
        columns
    }

    /// What the run was created with and keeps.
    fn given(run: &'a Run) -> Self {
        let parent = run.parent.as_ref();
        Self {
            agent_id: run.agent.uuid(),
            version: run.version.into(),
            pool: run.pool.as_str(),
            max_attempts: run.max_attempts.into(),
            retry_limit: run.retry.limit.into(),
            retry_backoff_micros: micros(run.retry.backoff),
            retry_max_backoff_micros: micros(run.retry.max_backoff),
            start_at: run.start_at,
            deadline: run.deadline,
            concurrency_key: run.concurrency.as_deref(),
            parent_run: parent.map(|Parent { run, .. }| run.uuid()),
            parent_key: parent.map(|Parent { key, .. }| key.as_str()),
            detached: parent.map(|Parent { detached, .. }| *detached),
            depth: run.depth.into(),
            check_run: run.check.map(RunId::uuid),
            budget: BudgetDocument::of(&run.budget).as_ref().map(documents::text),
            created_at: run.created_at,
            ..Self::default()
        }
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
            RunState::Waiting { reason } => self.set_reason(reason),
            RunState::Succeeded { output, at } => {
                self.output = PayloadColumns::of(output);
                self.ended_at = Some(*at);
            }
            RunState::Failed { failure, at } => {
                self.failure = FailureColumns::of(failure);
                self.ended_at = Some(*at);
            }
            RunState::Cancelled { by, at } => {
                self.set_steering(by);
                self.ended_at = Some(*at);
            }
        }
    }

    fn set_reason(&mut self, reason: &'a WaitReason) {
        self.wait_reason = Some(match reason {
            WaitReason::Inbox { until, on } => {
                self.ready_at = *until;
                let keys: Vec<_> = on.iter().map(Key::as_str).collect();
                self.wait_on = Some(keys.join("\n"));
                "inbox"
            }
            WaitReason::Blocked(failure) => {
                self.failure = FailureColumns::of(failure);
                "blocked"
            }
            WaitReason::Paused(by) => {
                self.set_steering(by);
                "paused"
            }
            WaitReason::Turn => "turn",
        });
    }

    fn set_request(&mut self, request: Option<&'a Request>) {
        match request {
            None => {}
            Some(Request::Cancel { by, force_at }) => {
                self.request = Some("cancel");
                self.cancel_force_at = Some(*force_at);
                self.set_steering(by);
            }
            Some(Request::Pause { by }) => {
                self.request = Some("pause");
                self.set_steering(by);
            }
        }
    }

    /// Who steered, and why. A run is asked, paused or cancelled, never two of them at a time.
    fn set_steering(&mut self, by: &'a Steering) {
        self.steer_actor = Some(&by.actor);
        self.steer_reason = Some(&by.reason);
    }
}

/// A row of `run_inputs`.
pub(crate) struct InputColumns<'a> {
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub payload: PayloadColumns<'a>,
    pub labels: String,
}

impl<'a> InputColumns<'a> {
    pub(super) fn of(run: &Run, input: &'a Payload, labels: &'a BTreeMap<String, String>) -> Self {
        Self {
            tenant_id: run.tenant.uuid(),
            run_id: run.id.uuid(),
            payload: PayloadColumns::of(input),
            labels: serde_json::json!(labels).to_string(),
        }
    }
}

/// A row of `run_ready`, whose lane the statement finds; to take one out, its key is enough.
pub(crate) struct ReadyColumns<'a> {
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub agent_id: Uuid,
    pub pool: &'a str,
    pub rank: i16,
    pub ready_at: Timestamp,
}

impl<'a> ReadyColumns<'a> {
    pub(super) fn of(run: &'a Run, ready_at: Timestamp) -> Self {
        Self {
            tenant_id: run.tenant.uuid(),
            run_id: run.id.uuid(),
            agent_id: run.agent.uuid(),
            pool: run.pool.as_str(),
            rank: rank(run.priority),
            ready_at,
        }
    }
}

/// A sum of usage, if there is any.
fn used(usage: &Usage) -> Option<String> {
    (*usage != Usage::default()).then(|| documents::text(&UsageDocument::of(usage)))
}

/// A priority as the queue keeps it: the lowest rank is the first, so that one index has the order.
fn rank(priority: i32) -> i16 {
    let bounded = priority.clamp(-i32::from(i16::MAX), i32::from(i16::MAX));
    i16::try_from(-bounded).unwrap_or(0)
}
