//! A random commit of a run's owner.

use std::time::Duration;

use tenure_core::run::{Commit, Committed, Outcome};
use tenure_core::{
    EntryKind, EntryStatus, Failure, Opening, Payload, Question, Record, Run, Timestamp, Transition,
};

use crate::differential::Step;
use crate::world::{TTL, asks, calls, commit, question, record, usage};

pub(super) fn some(step: &mut Step<'_>, run: &Run, now: Timestamp) -> Option<Transition> {
    let mut records: Vec<_> = (0..step.random.u32(..3)).map(|place| result(step, place)).collect();
    let opened = opened(step, run);
    records.extend(opened.as_ref().map(|(_, record)| record.clone()));
    let (what, outcome) = outcome(step, run);
    let request = commit(run, records, outcome);
    match run.commit(request.clone(), now, TTL) {
        Ok(Committed::Applied(transition)) => {
            step.note(what, (), true);
            if let Some((what, _)) = opened {
                step.note(what, (), true);
            }
            repeat(step, &transition.run, request, now);
            Some(*transition)
        }
        Ok(Committed::Repeated) => None,
        Err(error) => {
            step.note(what, error, false);
            None
        }
    }
}

/// The same request again finds itself answered.
fn repeat(step: &mut Step<'_>, run: &Run, request: Commit, now: Timestamp) {
    let again = run.commit(request, now, TTL);
    step.note("repeated", (), again == Ok(Committed::Repeated));
}

fn result(step: &mut Step<'_>, place: u32) -> Record {
    let status = if step.random.bool() {
        EntryStatus::Succeeded(Payload::json("x".repeat(step.random.usize(..40))))
    } else {
        EntryStatus::Failed(Failure::permanent("no", "y".repeat(step.random.usize(..40))))
    };
    let tokens = step.random.u64(..1000);
    let usage = step.random.bool().then(|| usage("m-1", tokens));
    let kinds = [EntryKind::Tool, EntryKind::Step, EntryKind::Child];
    let kind = kinds[step.random.usize(..kinds.len())];
    Record { usage, kind, ..record(&format!("step/{place}"), status) }
}

/// Something that the run begins, under a key that it never had.
fn opened(step: &mut Step<'_>, run: &Run) -> Option<(&'static str, Record)> {
    let seq = run.next_seq;
    match step.random.u32(..8) {
        0..2 => {
            let seconds = step.random.u64(..60);
            let timeout = (seconds < 40).then(|| Duration::from_secs(seconds));
            let assignee = if step.random.bool() { "editors".into() } else { String::new() };
            let asked = Question { timeout, assignee, ..question() };
            Some(("open interrupt", asks(&format!("ask/{seq}"), asked)))
        }
        2 => Some(("call", calls(&format!("call/{seq}"), step.random.bool()))),
        3 => {
            let started = EntryStatus::Opened(Opening::Started);
            Some(("start", record(&format!("step/{}", step.random.u32(..3)), started)))
        }
        _ => None,
    }
}

fn outcome(step: &mut Step<'_>, run: &Run) -> (&'static str, Option<Outcome>) {
    let failure = Failure::retryable("http_503", "later");
    let pause = Duration::from_millis(step.random.u64(..20_000));
    // Else it would hardly ever come up.
    if run.cancel_asked().is_some() && step.random.bool() {
        return ("cancelled", Some(Outcome::Cancelled));
    }
    let again = vec!["step/0".parse().unwrap()];
    let on = vec![format!("ask/{}", run.next_seq).parse().unwrap()];
    let suspend = |wake_after, on| Some(Outcome::Suspend { inbox: run.inbox, wake_after, on });
    match step.random.u32(..16) {
        0 => ("succeed", Some(Outcome::Succeed(Payload::json(format!("{pause:?}"))))),
        1..3 => ("fail", Some(Outcome::Fail { failure, retry_after: None, again })),
        3..5 => ("retry", Some(Outcome::Fail { failure, retry_after: Some(pause), again })),
        5..7 => ("suspend", suspend(None, on)),
        7..9 => ("sleep", suspend(Some(pause), Vec::new())),
        9..11 => ("block", Some(Outcome::Block(failure))),
        11 => ("release", Some(Outcome::Release)),
        _ => ("append", None),
    }
}
