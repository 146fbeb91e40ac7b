//! What others do to a run and are told of it, spoilt.

use super::right::recorded;
use super::*;
use crate::program::Answer;
use crate::runs::{Outcome, Reply};

/// The question of this state, and the run that asks.
fn question(evidence: &mut Evidence, state: v1::InterruptState) -> &mut v1::Interrupt {
    evidence.interrupts.iter_mut().find(|row| row.state() == state).unwrap()
}

#[test]
fn answers_that_are_lost_doubled_or_swapped_are_found() {
    use v1::InterruptState::{Answered, Closed, TimedOut};
    let reply = |outcome, answer| {
        move |evidence: &mut Evidence| {
            let first = evidence.ledger.replies[0].clone();
            evidence.ledger.replies.push(Reply { answer, outcome, ..first });
        }
    };
    finds(&[ANSWERS], reply(Outcome::Taken, Answer::Approve));
    finds(&[ANSWERS], reply(Outcome::Conflict, Answer::Edit(7)));
    finds(&[ANSWERS], reply(Outcome::Late, Answer::Edit(7)));
    finds(&[], reply(Outcome::Taken, Answer::Edit(7)));
    finds(&[ANSWERS], |evidence| {
        evidence.ledger.replies.retain(|reply| reply.outcome != Outcome::Taken);
    });
    finds(&[ANSWERS], |evidence| {
        question(evidence, Answered).answer = Some(Answer::Approve.wire("bob"));
    });
    finds(&[ANSWERS], |evidence| question(evidence, TimedOut).set_state(Closed));
    finds(&[ANSWERS], |evidence| {
        question(evidence, TimedOut).ended_at.as_mut().unwrap().seconds = 6;
    });
    finds(&[ANSWERS], |evidence| {
        evidence.interrupts.pop();
    });
}

#[test]
fn code_that_was_told_another_answer_is_found() {
    finds(&[OUTPUTS, ANSWERS], |evidence| {
        let asked = run(evidence, "asks").journal.iter_mut();
        let mut answers = asked.filter(|entry| Found::key(entry).contains("ask"));
        let status = v1::record::Status::Succeeded(recorded(Answer::Edit(8), false));
        answers.find(|entry| !Found::opens(entry)).unwrap().record.as_mut().unwrap().status =
            Some(status);
    });
    for timed_out in [false, true] {
        finds(&[ANSWERS], |evidence| {
            let mut told = evidence.log.iter_mut().filter_map(|line| match &mut line.event {
                Event::Told(telling) if telling.timed_out == timed_out => Some(telling),
                _ => None,
            });
            told.next().unwrap().timed_out ^= true;
        });
    }
}

#[test]
fn questions_that_are_left_open_are_found() {
    use v1::InterruptState::{Closed, Open};
    finds(&[CLOSED], |evidence| question(evidence, Closed).set_state(Open));
    finds(&[CLOSED], |evidence| evidence.listed[1].open_interrupts = 1);
}

#[test]
fn what_goes_on_while_it_is_paused_is_found() {
    let begin = |epoch| {
        move |evidence: &mut Evidence| {
            let rests = |line: &Line| matches!(line.event, Event::Rests(..));
            let place = evidence.log.iter().position(rests).unwrap();
            let (worker, run, key) = ("worker-1.1".into(), "paused".into(), "gone".into());
            let event = Event::Started(Execution { worker, run, key, epoch, value: 1 });
            evidence.log.insert(place + 1, Line { at: 0, event });
        }
    };
    finds(&[PAUSES], begin(2));
    // Who was frozen before it was paused does not know better.
    finds(&[], begin(1));
}

#[test]
fn calls_that_made_no_run_or_two_or_another_are_found() {
    let callee = |evidence: &Evidence| {
        let mut called = evidence.found.iter();
        called.position(|found| found.run.parent == "calls").unwrap()
    };
    // Nobody has executed its steps.
    finds(&[ONCE, CALLS], |evidence| {
        let mut twin = evidence.found[callee(evidence)].clone();
        twin.run.id = "twin".into();
        evidence.found.push(twin);
    });
    finds(&[CALLS], |evidence| {
        let place = callee(evidence);
        evidence.found[place].run.parent = "asks".into();
    });
    finds(&[OUTPUTS, CALLS], |evidence| {
        let called = run(evidence, "calls").journal.iter_mut();
        let mut ended = called.filter(|entry| Found::key(entry).contains("call"));
        set_value(ended.find(|entry| Found::value(entry).is_some()).unwrap(), 1);
    });
    finds(&[ENDED, CALLS], |evidence| {
        let failed =
            |found: &&mut Found| found.run.parent == "calls" && found.run.failure.is_some();
        let failed = evidence.found.iter_mut().find(failed).unwrap();
        failed.run.failure.as_mut().unwrap().code = "exhausted".into();
    });
}

#[test]
fn runs_that_outlive_their_cancelled_caller_are_found() {
    let callee = |evidence: &mut Evidence| {
        let of = |found: &Found| found.run.parent == "cancelled";
        let never = |found: &Found| found.program().end == program::End::Never;
        evidence.found.iter().position(|found| of(found) && never(found)).unwrap()
    };
    finds(&[ENDED, ONCE, CANCELS], |evidence| {
        let place = callee(evidence);
        evidence.found[place].run.set_state(v1::RunState::Failed);
    });
    finds(&[ENDED, CANCELS], |evidence| {
        let place = callee(evidence);
        evidence.found[place].run.ended_at = None;
        evidence.listed[place].ended_at = None;
    });
    finds(&[CANCELS], |evidence| {
        evidence.ledger.cancelled.insert("run".into());
    });
}
