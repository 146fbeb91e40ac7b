use std::collections::BTreeMap;

use tenure_core::run::{Concurrency, Policy, Request, RetryPolicy, WaitReason};
use tenure_core::{Error, Name, Payload, Result, Run, RunState, StateName, Usage};

use super::{budget, duration_if, duration_in, failure, payload, steering, timestamp, usage};
use crate::v1;

/// A run of the agent with this name, as the wire says it.
pub fn run(run: Run, agent: &Name, input: Payload, labels: BTreeMap<String, String>) -> v1::Run {
    let mut wire = v1::Run {
        id: run.id.to_string(),
        agent: agent.to_string(),
        version: run.version,
        pool: run.pool.to_string(),
        state: state(run.state.name()).into(),
        input: some_payload(input),
        cancel_requested: run.cancel_asked().is_some(),
        pause_requested: run.pause_asked(),
        wakes_at: run.ready_at().map(timestamp),
        epoch: run.epoch,
        entries: run.next_seq - 1,
        attempts: run.attempts,
        retried: run.retried,
        priority: run.priority,
        deadline: run.deadline.map(timestamp),
        concurrency_key: run.concurrency.unwrap_or_default(),
        parent: run.parent.map(|parent| parent.run.to_string()).unwrap_or_default(),
        open_interrupts: run.interrupts,
        checks: run.check.map(|checked| checked.to_string()).unwrap_or_default(),
        budget: budget(run.budget),
        usage: Some(usage(run.usage)),
        called: (run.called != Usage::default()).then(|| usage(run.called)),
        labels,
        created_at: Some(timestamp(run.created_at)),
        updated_at: Some(timestamp(run.updated_at)),
        steering: run.request.map(|request| match request {
            Request::Cancel { by, .. } | Request::Pause { by } => steering(by),
        }),
        ..v1::Run::default()
    };
    set_state(&mut wire, run.state);
    wire
}

fn set_state(wire: &mut v1::Run, state: RunState) {
    match state {
        RunState::Queued { .. } => {}
        RunState::Running { lease } => wire.worker = lease.worker.to_string(),
        RunState::Waiting { reason } => set_reason(wire, reason),
        RunState::Succeeded { output, at } => {
            wire.output = some_payload(output);
            wire.ended_at = Some(timestamp(at));
        }
        RunState::Failed { failure: why, at } => {
            wire.failure = Some(failure(why));
            wire.ended_at = Some(timestamp(at));
        }
        RunState::Cancelled { by, at } => {
            wire.steering = Some(steering(by));
            wire.ended_at = Some(timestamp(at));
        }
    }
}

fn set_reason(wire: &mut v1::Run, reason: WaitReason) {
    let name = match reason {
        WaitReason::Inbox { on, .. } => {
            wire.waits_on = on.iter().map(ToString::to_string).collect();
            v1::WaitReason::Inbox
        }
        WaitReason::Blocked(why) => {
            wire.failure = Some(failure(why));
            v1::WaitReason::Blocked
        }
        WaitReason::Paused(by) => {
            wire.steering = Some(steering(by));
            v1::WaitReason::Paused
        }
        WaitReason::Turn => v1::WaitReason::Turn,
    };
    wire.set_wait_reason(name);
}

/// What happens when a run fails, from the wire; left out, it ends.
pub fn retry_in(wire: Option<v1::RetryPolicy>) -> Result<RetryPolicy> {
    let Some(wire) = wire else { return Ok(RetryPolicy::default()) };
    let backoff = duration_in("retry.backoff", wire.backoff)?;
    let max_backoff = duration_if("retry.max_backoff", wire.max_backoff)?;
    Ok(RetryPolicy { limit: wire.limit, backoff, max_backoff: max_backoff.unwrap_or(backoff) })
}

/// With whom a run takes turns, from the wire.
pub fn concurrency_in(wire: Option<v1::Concurrency>) -> Result<Option<Concurrency>> {
    let Some(wire) = wire else { return Ok(None) };
    if wire.key.is_empty() {
        return Err(Error::invalid("concurrency.key is empty: leave out concurrency instead"));
    }
    let policy = match wire.policy() {
        v1::ConcurrencyPolicy::Unspecified | v1::ConcurrencyPolicy::Queue => Policy::Queue,
        v1::ConcurrencyPolicy::Reject => Policy::Reject,
        v1::ConcurrencyPolicy::Replace => Policy::Replace,
    };
    Ok(Some(Concurrency { key: wire.key, policy }))
}

fn some_payload(content: Payload) -> Option<v1::Payload> {
    (content != Payload::default()).then(|| payload(content))
}

fn state(name: StateName) -> v1::RunState {
    match name {
        StateName::Queued => v1::RunState::Queued,
        StateName::Running => v1::RunState::Running,
        StateName::Waiting => v1::RunState::Waiting,
        StateName::Succeeded => v1::RunState::Succeeded,
        StateName::Failed => v1::RunState::Failed,
        StateName::Cancelled => v1::RunState::Cancelled,
    }
}

/// The states of a filter from the wire.
pub fn states_in(states: &[i32]) -> Result<Vec<StateName>> {
    let known = |number: &i32| {
        let found = StateName::ALL.into_iter().find(|name| i32::from(state(*name)) == *number);
        found.ok_or_else(|| Error::invalid(format!("states: there is no run state {number}")))
    };
    states.iter().map(known).collect()
}
