//! A random command on a run, one that may well be refused.

use std::time::Duration;

use tenure_core::run::{Commit, Committed, Outcome};
use tenure_core::{EntryStatus, Failure, LeaseId, Payload, Record, Run, Timestamp, Transition};

use crate::differential::Step;
use crate::world::{TTL, commit, name, record, usage};

/// A command, noted with what it was answered. `source` is one that the inbox does not know.
pub(super) fn command(
    step: &mut Step<'_>,
    run: &Run,
    now: Timestamp,
    source: Option<&str>,
) -> Option<Transition> {
    // Seldom what ends a run: a store full of ended runs has nothing left to compare.
    match (step.random.u32(..20), run.lease_held()) {
        (0, _) => cancel(step, run, now),
        (1, None) => try_again(step, run, now),
        // Seldom possible, so mostly done where it is.
        (2..12, None) if matches!(run.retry(now), Ok(Some(_))) => try_again(step, run, now),
        (1, Some(lease)) => beat(step, run, lease.id, now),
        (2..8, Some(lease)) if !lease.started => withdraw(step, run, lease.id, now),
        (2..18, Some(_)) => commit_some(step, run, now),
        _ => deliver(step, run, now, source?),
    }
}

fn noted(
    step: &mut Step<'_>,
    what: &'static str,
    answer: tenure_core::Result<Transition>,
) -> Option<Transition> {
    step.note(what, answer.as_ref().err(), answer.is_ok());
    answer.ok()
}

fn cancel(step: &mut Step<'_>, run: &Run, now: Timestamp) -> Option<Transition> {
    let cancelled = run.cancel("enough", now, TTL).unwrap();
    let asked = cancelled.as_ref().is_some_and(|cancelled| cancelled.run.cancel.is_some());
    let what = if asked { "cancel (asked)" } else { "cancel" };
    step.note(what, (), cancelled.is_some());
    cancelled
}

fn beat(step: &mut Step<'_>, run: &Run, lease: LeaseId, now: Timestamp) -> Option<Transition> {
    noted(step, "beat", run.beat(lease, now, TTL))
}

fn withdraw(step: &mut Step<'_>, run: &Run, lease: LeaseId, now: Timestamp) -> Option<Transition> {
    noted(step, "withdraw", run.withdraw(lease, now))
}

fn try_again(step: &mut Step<'_>, run: &Run, now: Timestamp) -> Option<Transition> {
    let again = run.retry(now);
    step.note("try again", &again, matches!(again, Ok(Some(_))));
    again.ok().flatten()
}

fn deliver(step: &mut Step<'_>, run: &Run, now: Timestamp, source: &str) -> Option<Transition> {
    let payload = Payload::json(format!("{}", step.random.u8(..)));
    noted(step, "deliver", run.deliver(source.into(), name("approved"), payload, now))
}

fn commit_some(step: &mut Step<'_>, run: &Run, now: Timestamp) -> Option<Transition> {
    let records = (0..step.random.u32(..3)).map(|place| random_record(step, place)).collect();
    let (what, outcome) = outcome(step, run);
    let request = commit(run, records, outcome);
    match run.commit(request.clone(), now, TTL) {
        Ok(Committed::Applied(transition)) => {
            step.note(what, (), true);
            repeat(step, &transition.run, request, now);
            Some(*transition)
        }
        Ok(Committed::Repeated) => None,
        Err(error) => noted(step, what, Err(error)),
    }
}

/// The same request again finds itself answered.
fn repeat(step: &mut Step<'_>, run: &Run, request: Commit, now: Timestamp) {
    let again = run.commit(request, now, TTL);
    step.note("repeated", (), again == Ok(Committed::Repeated));
}

fn random_record(step: &mut Step<'_>, place: u32) -> Record {
    let status = if step.random.bool() {
        EntryStatus::Succeeded(Payload::json("x".repeat(step.random.usize(..40))))
    } else {
        EntryStatus::Failed(Failure::permanent("no", "y".repeat(step.random.usize(..40))))
    };
    let tokens = step.random.u64(..1000);
    let usage = step.random.bool().then(|| usage("m-1", tokens));
    Record { usage, ..record(&format!("step/{place}"), status) }
}

fn outcome(step: &mut Step<'_>, run: &Run) -> (&'static str, Option<Outcome>) {
    let failure = Failure::retryable("http_503", "later");
    let pause = Duration::from_millis(step.random.u64(..20_000));
    // Else it would hardly ever come up.
    if run.cancel.is_some() && step.random.bool() {
        return ("cancelled", Some(Outcome::Cancelled));
    }
    match step.random.u32(..16) {
        0 => ("succeed", Some(Outcome::Succeed(Payload::json(format!("{pause:?}"))))),
        1 => ("fail", Some(Outcome::Fail { failure, retry_after: None })),
        2..5 => ("retry", Some(Outcome::Fail { failure, retry_after: Some(pause) })),
        5..7 => ("suspend", Some(Outcome::Suspend { inbox: run.inbox, wake_after: None })),
        7 => ("sleep", Some(Outcome::Suspend { inbox: run.inbox, wake_after: Some(pause) })),
        8 => ("block", Some(Outcome::Block(failure))),
        9..12 => ("release", Some(Outcome::Release)),
        _ => ("append", None),
    }
}
