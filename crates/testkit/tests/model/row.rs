//! The run's row as the model keeps it: what the rules decide on, and nothing that only grows.
//!
//! Moments are reduced to whether they have passed, ids to small numbers, and the revision, the sum
//! of usage and the payloads are left out. [`Row::load`] and [`Row::of`] are the only ways between
//! this and the real [`Run`]; `of` takes the run apart field by field, so that a new field of it has
//! to be thought about here before anything compiles.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use tenure_core::run::{NewRun, Request, RetryPolicy, WaitReason};
use tenure_core::{
    AgentId, Digest, Lease, LeaseId, Payload, Run, RunId, RunState, Steering, TenantId, Timestamp,
    WorkerId, limits,
};
use uuid::Uuid;

/// After how many lost workers the run is given up: few enough to be reached.
pub(crate) const MAX_ATTEMPTS: u32 = 3;
const HOUR: Duration = Duration::from_hours(1);

/// The moment at which every command is decided. Time passes by what has become due.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) phase: Phase,
    pub(crate) epoch: u8,
    pub(crate) next_seq: u8,
    pub(crate) inbox: u8,
    pub(crate) last_commit: Option<Digest>,
    /// A cancel that was asked for, and whether its grace is over.
    pub(crate) cancel: Option<Due>,
    attempts: u8,
    stalled: u8,
    offers: u8,
}

/// Where the run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Queued { ready: Due },
    Running { lease: u8, epoch: u8, worker: u8, expired: Due, started: bool },
    Waiting,
    Succeeded,
    Failed,
    Cancelled,
}

/// Whether a moment has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Due {
    Later,
    Now,
}

impl Due {
    fn of(passed: bool) -> Self {
        if passed { Self::Now } else { Self::Later }
    }

    fn moment(self) -> Timestamp {
        match self {
            Self::Later => NOW + HOUR,
            Self::Now => NOW - HOUR,
        }
    }
}

static NEW: LazyLock<Run> = LazyLock::new(|| {
    let new = NewRun {
        id: RunId::new(Uuid::from_u128(1)),
        tenant: TenantId::new(Uuid::from_u128(2)),
        agent: AgentId::new(Uuid::from_u128(3)),
        version: 1,
        pool: "default".parse().unwrap(),
        input: Payload::default(),
        labels: BTreeMap::new(),
        start_after: Duration::ZERO,
        max_attempts: Some(MAX_ATTEMPTS),
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
    Run::create(new, true, NOW).unwrap().run
});

impl Row {
    /// The row of a run that was just created.
    pub(crate) fn created() -> Self {
        Self::of(NEW.clone())
    }

    /// The run of this row, for a rule to decide on.
    pub(crate) fn load(self) -> Run {
        Run {
            state: self.phase.load(),
            epoch: self.epoch.into(),
            next_seq: self.next_seq.into(),
            inbox: self.inbox.into(),
            last_commit: self.last_commit,
            request: self
                .cancel
                .map(|force| Request::Cancel { by: Steering::default(), force_at: force.moment() }),
            attempts: self.attempts.into(),
            stalled: self.stalled.into(),
            offers: self.offers.into(),
            ..NEW.clone()
        }
    }

    /// What the model keeps of `run`.
    pub(crate) fn of(run: Run) -> Self {
        let Run {
            state,
            epoch,
            next_seq,
            inbox,
            last_commit,
            request,
            attempts,
            stalled,
            offers,
            // Never change.
            id: _,
            tenant: _,
            agent: _,
            version: _,
            pool: _,
            max_attempts: _,
            retry: _,
            start_at: _,
            deadline: _,
            concurrency: _,
            parent: _,
            depth: _,
            check: _,
            budget: _,
            created_at: _,
            // Nobody of the model fails, calls, asks or prioritizes.
            retried: _,
            children: _,
            interrupts: _,
            priority: _,
            // Decide nothing.
            usage: _,
            called: _,
            posted: _,
            revision: _,
            updated_at: _,
        } = run;
        Self {
            phase: Phase::of(&state),
            epoch: small(epoch),
            next_seq: small(next_seq),
            inbox: small(inbox),
            last_commit,
            cancel: request.map(|request| match request {
                Request::Cancel { force_at, .. } => Due::of(force_at <= NOW),
                Request::Pause { .. } => unreachable!("nobody of the model pauses"),
            }),
            attempts: small(attempts),
            stalled: small(stalled),
            offers: small(offers),
        }
    }

    /// The lease that stands.
    pub(crate) fn lease(&self) -> Option<u8> {
        match self.phase {
            Phase::Running { lease, .. } => Some(lease),
            _ => None,
        }
    }

    /// Whether the run has ended.
    pub(crate) fn ended(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed | Phase::Cancelled)
    }
}

impl Phase {
    fn load(self) -> RunState {
        match self {
            Self::Queued { ready } => RunState::Queued { ready_at: ready.moment() },
            Self::Running { lease, epoch, worker, expired, started } => {
                let (id, worker) = (lease_id(lease), worker_id(worker));
                let until = expired.moment();
                RunState::Running {
                    lease: Lease { id, epoch: epoch.into(), worker, until, started },
                }
            }
            Self::Waiting => {
                RunState::Waiting { reason: WaitReason::Inbox { until: None, on: Vec::new() } }
            }
            Self::Succeeded => RunState::Succeeded { output: Payload::default(), at: NOW },
            Self::Failed => {
                let failure = tenure_core::Failure::permanent("", "");
                RunState::Failed { failure, at: NOW }
            }
            Self::Cancelled => RunState::Cancelled { by: Steering::default(), at: NOW },
        }
    }

    fn of(state: &RunState) -> Self {
        match state {
            RunState::Queued { ready_at } => Self::Queued { ready: Due::of(*ready_at <= NOW) },
            RunState::Running { lease } => Self::Running {
                lease: small(lease.id.uuid().as_u128()),
                epoch: small(lease.epoch),
                worker: small(lease.worker.uuid().as_u128()),
                expired: Due::of(lease.expired(NOW)),
                started: lease.started,
            },
            RunState::Waiting { reason: WaitReason::Inbox { until: None, .. } } => Self::Waiting,
            RunState::Waiting { reason } => {
                unreachable!("nothing in the model has the run wait like this: {reason:?}")
            }
            RunState::Succeeded { .. } => Self::Succeeded,
            RunState::Failed { .. } => Self::Failed,
            RunState::Cancelled { .. } => Self::Cancelled,
        }
    }
}

/// The lease with this number.
pub(crate) fn lease_id(number: u8) -> LeaseId {
    LeaseId::new(Uuid::from_u128(number.into()))
}

/// The worker with this number: the same before and after it was started again.
pub(crate) fn worker_id(number: u8) -> WorkerId {
    WorkerId::new(Uuid::from_u128(number.into()))
}

/// Bounds keep every number of the model below 256.
pub(crate) fn small<N: TryInto<u8, Error: std::fmt::Debug>>(number: N) -> u8 {
    number.try_into().unwrap()
}

/// Long enough to keep a lease alive at [`NOW`].
pub(crate) const TTL: Duration = limits::LEASE_TTL;
