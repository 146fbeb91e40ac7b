//! Evidence that is right, and every way to spoil it.

use std::time::Duration;

use tenure_sdk::v1;

use super::*;
use crate::fault::{Fault, worker_name};
use crate::log::{Event, Execution, Line};
use crate::program::{self, Part};

const KINDS: [(What, Party); 1] = [(What::Killed, Party::Worker)];

/// What must hold, in the words of the check that finds it otherwise.
const CREATED: &str = "every request made one run";
const ENDED: &str = "every acknowledged run succeeded";
const GAPLESS: &str = "every journal has each seq once, and its epochs never fall";
const ONCE: &str =
    "each part is recorded once, and each step with a result that an execution of it gave";
const OUTPUTS: &str = "every output is made of the recorded results";
const SIGNALS: &str = "every acknowledged signal was taken once, in order";
const SLEEPS: &str = "no sleep ended early by the database's clock";
const UNCHANGED: &str = "no recorded entry and no end changed";
const WATCHED: &str =
    "every watch showed each entry once, in order, and all of them before the end";
const KEPT: &str = "no result that a worker was told is recorded was lost";
const REPEATED: &str = "only steps in flight at a fault were executed more than once";
const FAULTS: &str = "there were faults of each kind";
const CALM: &str = "runs got on in every calm between the faults";

/// The checks that find something.
fn found(evidence: &Evidence) -> Vec<&'static str> {
    let checks = judge(evidence, &findings(evidence), &KINDS);
    let bad = checks.into_iter().filter(|check| !check.violations.is_empty());
    bad.map(|check| check.what).collect()
}

/// One run that slept, took two signals and worked in branches, whose first worker was killed in
/// its first step, and which went on in a calm.
fn right() -> Evidence {
    let input = (0..1_000).find(|input| is_rich(&program::of(*input))).unwrap();
    let mut evidence = Evidence::default();
    let journal = journal(input);
    let values = journal.iter().filter(|entry| !Found::key(entry).contains("sleep"));
    let output = program::output(values.filter_map(Found::value));
    let mut run = v1::Run {
        id: "run".into(),
        state: v1::RunState::Succeeded.into(),
        input: Some(json(&input.to_string())),
        output: Some(json(&output.to_string())),
        entries: journal.len() as u64,
        ..v1::Run::default()
    };
    run.ended_at.get_or_insert_default();
    evidence.log = log(&journal);
    evidence.ledger.created = 1;
    evidence.ledger.acknowledged = vec!["run".into()];
    evidence.ledger.signals = [("run".into(), program::signals(&program::of(input)))].into();
    evidence.listed = vec![run.clone()];
    evidence.seen.see_run(&run);
    for entry in &journal {
        evidence.seen.see("run", entry);
    }
    evidence.found = vec![Found { run, journal }];
    evidence
}

fn is_rich(parts: &[Part]) -> bool {
    let has = |wanted: fn(&Part) -> bool| parts.iter().any(wanted);
    has(|part| matches!(part, Part::Sleep(_)))
        && has(|part| matches!(part, Part::Branches(_)))
        && program::signals(parts) == 2
}

fn json(text: &str) -> v1::Payload {
    v1::Payload { data: text.to_owned().into(), ..v1::Payload::default() }
}

/// The first entry of the second lease, whose epoch is 3, and the others too.
fn journal(input: u64) -> Vec<v1::Entry> {
    let (parts, mut signals, mut now) = (program::of(input), 0, Duration::from_secs(100));
    let mut journal = Vec::new();
    for (seq, place) in (1..).zip(program::places(&parts)) {
        let (kind, value) = match place.part {
            Part::Sleep(length) => (v1::EntryKind::Wait, length.as_secs_f64().to_string()),
            Part::Signal => {
                signals += 1;
                (v1::EntryKind::Wait, program::brought(input, signals - 1).to_string())
            }
            _ => (v1::EntryKind::Step, (seq * 1_000).to_string()),
        };
        let record = v1::Record {
            key: place.key,
            kind: kind.into(),
            status: Some(v1::record::Status::Succeeded(json(&value))),
            ..v1::Record::default()
        };
        let mut entry = v1::Entry { seq, epoch: 3, record: Some(record), ..v1::Entry::default() };
        set_time(&mut entry, now);
        journal.push(entry);
        if let Part::Sleep(length) = place.part {
            now += *length;
        }
    }
    journal
}

fn set_time(entry: &mut v1::Entry, at: Duration) {
    let time = entry.at.get_or_insert_default();
    time.seconds = i64::try_from(at.as_secs()).unwrap();
    time.nanos = i32::try_from(at.subsec_nanos()).unwrap();
}

fn log(journal: &[v1::Entry]) -> Vec<Line> {
    let (what, whom, length) = (What::Killed, Party::Worker, Duration::ZERO);
    let mut events = vec![
        Event::Started(Execution { epoch: 1, value: 7, ..execution(&journal[0], 0) }),
        Event::FaultBegins(0, Fault { what, whom, place: 0, length }),
        Event::FaultEnds(0),
        Event::CalmBegins,
    ];
    for entry in journal.iter().filter(|entry| checks::is_step(entry)) {
        let execution = execution(entry, 1);
        events.extend([
            Event::Started(execution.clone()),
            Event::Ended(execution.clone()),
            Event::Recorded(execution),
        ]);
    }
    events.push(Event::CalmEnds);
    events.into_iter().map(|event| Line { at: 0, event }).collect()
}

fn execution(entry: &v1::Entry, place: usize) -> Execution {
    Execution {
        worker: worker_name(place, 1),
        run: "run".into(),
        key: Found::key(entry).into(),
        epoch: entry.epoch,
        value: Found::value(entry).unwrap(),
    }
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
    finds(&[ONCE], |evidence| {
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
        let taken = entries(evidence).iter_mut().filter(|entry| !checks::is_step(entry));
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
        let again = Execution { epoch: 9, ..execution(&evidence.found[0].journal[0], 2) };
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
