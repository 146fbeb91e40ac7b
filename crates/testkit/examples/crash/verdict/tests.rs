//! Evidence that is right, and every way to spoil it.

mod others;
mod right;

use std::time::Duration;

use tenure_sdk::v1;

use super::*;
use crate::log::{Event, Execution, Line};
use crate::program;
use right::{json, right, set_time};

const KINDS: [(What, Party); 1] = [(What::Killed, Party::Worker)];

/// What must hold, in the words of the check that finds it otherwise.
const CREATED: &str = "every request made one run";
const ENDED: &str = "every run ended as it was to";
const GAPLESS: &str = "every journal has each seq once, and its epochs never fall";
const ONCE: &str =
    "each part is recorded once, and each step with a result that an execution of it gave";
const OUTPUTS: &str = "every output is made of the recorded results";
const SIGNALS: &str = "every acknowledged signal was taken once, in order";
const SLEEPS: &str = "no sleep ended early by the database's clock";
const ANSWERS: &str = "every answer that was taken is the one that the run's code was told";
const CLOSED: &str = "no question is left open";
const PAUSES: &str = "nothing of a paused run began before it was resumed";
const CALLS: &str = "each call made one run, and its end is what the caller was told";
const CANCELS: &str = "what was cancelled ended, and what it had called did not outlive it";
const DOUBTED: &str =
    "what must not happen twice happened once, and was executed again only after a decision";
const UNCHANGED: &str = "no recorded entry and no end changed";
const WATCHED: &str =
    "every watch showed each entry once, in order, and all of them before the end";
const KEPT: &str = "no result that a worker was told is recorded was lost";
const REPEATED: &str = "only steps in flight at a fault were executed more than once";
const FAULTS: &str = "there were faults of each kind";
const CALM: &str = "runs got on in every calm between the faults";

/// The checks that find something.
fn found(evidence: &Evidence) -> Vec<&'static str> {
    let checks = judge(evidence, &findings(evidence), &onces(evidence), &KINDS);
    let bad = checks.into_iter().filter(|check| !check.violations.is_empty());
    bad.map(|check| check.what).collect()
}

/// Asserts that the check, and no other that is not named, finds what this does to the evidence.
fn finds(expected: &[&str], spoil: impl Fn(&mut Evidence)) {
    let mut evidence = right();
    spoil(&mut evidence);
    assert_eq!(found(&evidence), expected);
}

/// The journal of the run.
fn entries(evidence: &mut Evidence) -> &mut Vec<v1::Entry> {
    &mut evidence.found[0].journal
}

/// The first entry whose key has this in it.
fn entry<'a>(evidence: &'a mut Evidence, key: &str) -> &'a mut v1::Entry {
    let of_key = |entry: &&mut v1::Entry| Found::key(entry).contains(key);
    entries(evidence).iter_mut().find(of_key).unwrap()
}

fn set_value(entry: &mut v1::Entry, value: u64) {
    let status = v1::record::Status::Succeeded(json(&value.to_string()));
    entry.record.as_mut().unwrap().status = Some(status);
}

#[test]
fn what_is_right_passes() {
    finds(&[], |_| {});
}

#[test]
fn runs_that_are_lost_made_twice_or_refused_are_found() {
    finds(&[CREATED], |evidence| evidence.ledger.created = 2);
    finds(&[CREATED], |evidence| evidence.listed.push(evidence.listed[0].clone()));
    finds(&[CREATED], |evidence| evidence.ledger.problems.push("refused".into()));
}

#[test]
fn runs_that_did_not_end_well_are_found() {
    for state in [v1::RunState::Failed, v1::RunState::Waiting, v1::RunState::Cancelled] {
        finds(&[ENDED], |evidence| evidence.found[0].run.state = state.into());
    }
    finds(&[ENDED], |evidence| evidence.listed[0].ended_at = None);
}

#[test]
fn gaps_and_epochs_that_fall_are_found() {
    finds(&[GAPLESS], |evidence| entries(evidence).last_mut().unwrap().seq += 1);
    finds(&[GAPLESS], |evidence| evidence.found[0].run.entries += 1);
    // A signal has no execution of its own that could give the epoch away.
    finds(&[GAPLESS], |evidence| entry(evidence, "signal").epoch = 2);
    finds(&[GAPLESS], |evidence| {
        let extra = v1::Entry { seq: 99, ..entries(evidence)[0].clone() };
        evidence.seen.see("run", &extra);
    });
}

#[test]
fn entries_that_no_execution_gave_are_found() {
    // Another value: as if a worker had written that was frozen and is fenced off.
    finds(&[ONCE, OUTPUTS], |evidence| set_value(entry(evidence, "step"), 7));
    finds(&[ONCE], |evidence| entries(evidence).last_mut().unwrap().epoch = 4);
    finds(&[ONCE, OUTPUTS], |evidence| {
        entry(evidence, "sleep").record.as_mut().unwrap().key = "another".into();
    });
}

#[test]
fn an_output_of_something_else_is_found() {
    finds(&[OUTPUTS], |evidence| evidence.found[0].run.output = Some(json("1")));
    finds(&[OUTPUTS], |evidence| evidence.found[0].run.output = None);
}

#[test]
fn signals_that_are_lost_doubled_or_swapped_are_found() {
    finds(&[SIGNALS], |evidence| evidence.ledger.signals.clear());
    finds(&[SIGNALS], |evidence| *evidence.ledger.signals.get_mut("run").unwrap() += 1);
    finds(&[OUTPUTS, SIGNALS], |evidence| set_value(entry(evidence, "signal"), 1));
    finds(&[SIGNALS], |evidence| {
        let input = evidence.found[0].input();
        let taken = entries(evidence).iter_mut().filter(|entry| !results::is_step(entry));
        let taken = taken.filter(|entry| Found::key(entry).contains("signal"));
        for (number, entry) in taken.enumerate() {
            set_value(entry, program::brought(input, 1 - number));
        }
    });
}

#[test]
fn a_sleep_that_ends_early_is_found() {
    let later = |evidence: &mut Evidence, by: Duration| {
        let entry = entry(evidence, "sleep");
        let began = Duration::from_secs(entry.at.unwrap().seconds.unsigned_abs());
        set_time(entry, began + by);
    };
    finds(&[SLEEPS], |evidence| later(evidence, Duration::from_micros(1)));
    // Over before it began.
    finds(&[SLEEPS], |evidence| later(evidence, Duration::from_hours(1)));
}

/// The run with this id.
fn run<'a>(evidence: &'a mut Evidence, id: &str) -> &'a mut Found {
    evidence.found.iter_mut().find(|found| found.run.id == id).unwrap()
}

#[test]
fn steps_that_happened_twice_are_found() {
    finds(&[DOUBTED], |evidence| {
        evidence.world.retain(|line| !matches!(line.event, Event::Doubted(_)));
    });
    finds(&[DOUBTED], |evidence| evidence.world.push(evidence.world[3].clone()));
    finds(&[OUTPUTS, DOUBTED], |evidence| {
        let mut entries = run(evidence, "once").journal.iter_mut();
        let of =
            |entry: &&mut v1::Entry| program::is_once(Found::key(entry)) && !Found::opens(entry);
        set_value(entries.find(of).unwrap(), 1);
    });
}

#[test]
fn entries_and_ends_that_change_are_found() {
    finds(&[UNCHANGED], |evidence| {
        let mut changed = evidence.found[0].journal[0].clone();
        set_value(&mut changed, 1);
        evidence.seen.see("run", &changed);
    });
    finds(&[UNCHANGED], |evidence| {
        let state = v1::RunState::Failed.into();
        let other = v1::Run { state, ..evidence.found[0].run.clone() };
        evidence.seen.see_run(&other);
    });
    finds(&[UNCHANGED], |evidence| {
        let running = v1::Run { ended_at: None, ..evidence.found[0].run.clone() };
        evidence.seen.revived(&running);
    });
}

#[test]
fn watches_that_skip_or_repeat_are_found() {
    for (expected, seq) in [(3, 4), (3, 2)] {
        finds(&[WATCHED], |evidence| evidence.ledger.watch("run", expected, seq));
    }
    finds(&[], |evidence| evidence.ledger.watch("run", 3, 3));
}

#[test]
fn a_result_that_was_acknowledged_and_is_not_there_is_found() {
    finds(&[KEPT], |evidence| {
        let Event::Started(first) = evidence.log[0].event.clone() else { panic!() };
        evidence.log.insert(1, Line { at: 0, event: Event::Recorded(first) });
    });
}

#[test]
fn executions_that_no_fault_explains_are_found() {
    // The kill was of another worker.
    finds(&[REPEATED], |evidence| {
        let Event::FaultBegins(_, fault) = &mut evidence.log[1].event else { panic!() };
        fault.place = 5;
    });
    // A step that is recorded is executed once more.
    finds(&[REPEATED], |evidence| {
        let Event::Started(first) = evidence.log[0].event.clone() else { panic!() };
        let again = Execution { epoch: 9, ..first };
        evidence.log.push(Line { at: 0, event: Event::Started(again) });
    });
}

#[test]
fn a_test_without_faults_or_without_progress_is_found() {
    finds(&[REPEATED, FAULTS], |evidence| {
        evidence.log.retain(|line| !matches!(line.event, Event::FaultBegins(..)));
    });
    finds(&[CALM], |evidence| {
        evidence.log.retain(|line| !matches!(line.event, Event::Recorded(_)));
    });
}
