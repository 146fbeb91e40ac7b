//! A random command on a run, one that may well be refused.

mod commit;

use tenure_core::run::{Request, Topic, WaitReason};
use tenure_core::{EntryStatus, Failure, LeaseId, Payload, Run, RunState, Timestamp, Transition};

use crate::differential::Step;
use crate::world::{TTL, ann, name};

/// A command, noted with what it was answered. `source` is one that the inbox does not know.
pub(super) fn command(
    step: &mut Step<'_>,
    run: &Run,
    now: Timestamp,
    source: Option<&str>,
) -> Option<Transition> {
    // Seldom what ends a run: a store full of ended runs has nothing left to compare.
    // Seldom where it is refused, mostly where hardly anything else is possible.
    match (step.random.u32(..20), &run.state) {
        (0, _) => cancel(step, run, now),
        (1, _) | (7, RunState::Running { .. }) => pause(step, run, now),
        (2, _) => prioritize(step, run, now),
        (3, _) | (12..16, RunState::Waiting { reason: WaitReason::Blocked(_) }) => {
            try_again(step, run, now)
        }
        (4, _) | (6..14, RunState::Waiting { reason: WaitReason::Paused(_) }) => {
            resume(step, run, now)
        }
        (5, _) | (6..12, RunState::Waiting { reason: WaitReason::Blocked(_) }) => {
            patch(step, run, now)
        }
        (..10, RunState::Queued { ready_at }) if *ready_at > now => try_again(step, run, now),
        (..12, RunState::Running { .. }) if run.pause_asked() => resume(step, run, now),
        (6, RunState::Running { lease }) => beat(step, run, lease.id, now),
        (..9, RunState::Running { lease }) if !lease.started => withdraw(step, run, lease.id, now),
        (..18, RunState::Running { .. }) => commit::some(step, run, now),
        _ => deliver(step, run, now, source?),
    }
}

/// Notes a command that may have nothing to do.
fn noted_if(
    step: &mut Step<'_>,
    what: &'static str,
    answer: tenure_core::Result<Option<Transition>>,
) -> Option<Transition> {
    step.note(what, answer.as_ref().err(), matches!(answer, Ok(Some(_))));
    answer.ok().flatten()
}

fn noted(
    step: &mut Step<'_>,
    what: &'static str,
    answer: tenure_core::Result<Transition>,
) -> Option<Transition> {
    noted_if(step, what, answer.map(Some))
}

fn cancel(step: &mut Step<'_>, run: &Run, now: Timestamp) -> Option<Transition> {
    let cancelled = run.cancel(ann("enough"), now, TTL);
    let asked = run.lease_held().is_some();
    noted_if(step, if asked { "cancel (asked)" } else { "cancel" }, cancelled)
}

fn pause(step: &mut Step<'_>, run: &Run, now: Timestamp) -> Option<Transition> {
    let paused = run.pause(ann(""), now);
    let asked = run.lease_held().is_some();
    noted_if(step, if asked { "pause (asked)" } else { "pause" }, paused)
}

fn resume(step: &mut Step<'_>, run: &Run, now: Timestamp) -> Option<Transition> {
    let asked = matches!(run.request, Some(Request::Pause { .. }));
    let what = if asked { "resume (asked)" } else { "resume" };
    noted(step, what, run.resume(ann("it is well"), now))
}

fn prioritize(step: &mut Step<'_>, run: &Run, now: Timestamp) -> Option<Transition> {
    let priority = step.random.i32(-2..3);
    noted_if(step, "prioritize", run.prioritize(priority, ann("first"), now))
}

fn patch(step: &mut Step<'_>, run: &Run, now: Timestamp) -> Option<Transition> {
    let key = format!("step/{}", step.random.u32(..3)).parse().unwrap();
    let status = if step.random.bool() {
        EntryStatus::Succeeded(Payload::json("\"given\""))
    } else {
        EntryStatus::Failed(Failure::permanent("no", "y"))
    };
    noted(step, "patch", run.patch(key, status, ann("I looked"), now))
}

fn try_again(step: &mut Step<'_>, run: &Run, now: Timestamp) -> Option<Transition> {
    noted_if(step, "try again", run.retry(ann("again"), now))
}

fn beat(step: &mut Step<'_>, run: &Run, lease: LeaseId, now: Timestamp) -> Option<Transition> {
    noted(step, "beat", run.beat(lease, now, TTL))
}

fn withdraw(step: &mut Step<'_>, run: &Run, lease: LeaseId, now: Timestamp) -> Option<Transition> {
    noted(step, "withdraw", run.withdraw(lease, now))
}

fn deliver(step: &mut Step<'_>, run: &Run, now: Timestamp, source: &str) -> Option<Transition> {
    let result = match step.random.u32(..5) {
        0 => Err(Failure::permanent("no", "it did not work")),
        _ => Ok(Payload::json(format!("{}", step.random.u8(..)))),
    };
    let topic = Topic::Signal(name("approved"));
    noted(step, "deliver", run.deliver(source.into(), topic, result, None, now))
}
