use std::collections::BTreeMap;

use tenure_core::run::WaitReason;
use tenure_core::{Error, Name, Payload, Result, Run, RunState, StateName};

use super::{failure, payload, timestamp, usage};
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
        cancel_requested: run.cancel.is_some(),
        wakes_at: run.ready_at().map(timestamp),
        epoch: run.epoch,
        entries: run.next_seq - 1,
        attempts: run.attempts,
        usage: Some(usage(run.usage)),
        labels,
        created_at: Some(timestamp(run.created_at)),
        updated_at: Some(timestamp(run.updated_at)),
        ..v1::Run::default()
    };
    match run.state {
        RunState::Queued { .. } | RunState::Waiting { reason: WaitReason::Inbox { .. } } => {}
        RunState::Waiting { reason: WaitReason::Blocked(why) } => wire.failure = Some(failure(why)),
        RunState::Running { lease } => wire.worker = lease.worker.to_string(),
        RunState::Succeeded { output, at } => {
            wire.output = some_payload(output);
            wire.ended_at = Some(timestamp(at));
        }
        RunState::Failed { failure: why, at } => {
            wire.failure = Some(failure(why));
            wire.ended_at = Some(timestamp(at));
        }
        RunState::Cancelled { reason, at } => {
            wire.cancel_reason = reason;
            wire.ended_at = Some(timestamp(at));
        }
    }
    wire
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
