//! Scripts: a history, what the code asks for, and the answers that it must get.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use tenure_core::run::InboxItem;
use tenure_core::{
    Digest, Entry, EntryKind, EntryStatus, Failure, Key, Name, Payload, Record, Scope, Timestamp,
};
use tenure_replay::{Answer, Asleep, Command, Engine, Finished};

fn value(text: &str) -> EntryStatus {
    EntryStatus::Succeeded(Payload::json(text.to_owned()))
}

fn record(key: &str, text: &str) -> Record {
    Record {
        key: key.parse().unwrap(),
        kind: EntryKind::Step,
        status: value(text),
        input: None,
        attempt: 1,
        duration: Duration::ZERO,
        usage: None,
    }
}

fn entry(seq: u64, record: Record) -> Entry {
    Entry { seq, epoch: 1, at: Timestamp::default(), record }
}

fn history(records: impl IntoIterator<Item = Record>) -> Vec<Entry> {
    (1..).zip(records).map(|(seq, record)| entry(seq, record)).collect()
}

fn step(engine: &mut Engine, scope: &Scope, name: &str) -> Answer {
    step_of(engine, scope, name, EntryKind::Step, None)
}

fn step_of(
    engine: &mut Engine,
    scope: &Scope,
    name: &str,
    kind: EntryKind,
    input: Option<&str>,
) -> Answer {
    let input = input.map(Digest::of);
    engine.step(&Command { scope, name, kind, input }).unwrap()
}

fn finish(engine: &mut Engine, key: &str, text: &str) -> Record {
    let finished =
        Finished { status: value(text), attempt: 1, duration: Duration::ZERO, usage: None };
    engine.finish(&key.parse().unwrap(), finished).unwrap()
}

fn execute(key: &str) -> Answer {
    Answer::Execute(key.parse().unwrap())
}

fn recorded(text: &str) -> Answer {
    Answer::Recorded(value(text))
}

#[test]
fn a_new_run_executes_and_its_replay_does_not() {
    let root = Scope::root();
    let mut first = Engine::new([]).unwrap();
    assert_eq!(step(&mut first, &root, "plan"), execute("plan"));
    let plan = finish(&mut first, "plan", "1");
    assert_eq!(step(&mut first, &root, "act"), execute("act"));

    let mut second = Engine::new(history([plan])).unwrap();
    assert_eq!(step(&mut second, &root, "plan"), recorded("1"));
    assert_eq!(step(&mut second, &root, "act"), execute("act"), "it was in flight at the crash");
}

#[test]
fn a_recorded_failure_is_the_result_as_well() {
    let failed = EntryStatus::Failed(Failure::permanent("http_404", "no such page"));
    let fetch = Record { status: failed.clone(), ..record("fetch", "") };
    let mut engine = Engine::new(history([fetch])).unwrap();
    assert_eq!(step(&mut engine, &Scope::root(), "fetch"), Answer::Recorded(failed));
}

#[test]
fn equals_in_one_scope_are_told_apart_by_order() {
    let root = Scope::root();
    let mut engine = Engine::new([]).unwrap();
    for key in ["poll", "poll#1", "poll#2"] {
        assert_eq!(step(&mut engine, &root, "poll"), execute(key));
    }
    let turns: Vec<Scope> = (0..2).map(|_| engine.scope(&root, "turn").unwrap()).collect();
    assert_eq!(step(&mut engine, &turns[0], "poll"), execute("turn/poll"));
    assert_eq!(step(&mut engine, &turns[1], "poll"), execute("turn#1/poll"));
}

#[test]
fn parallel_branches_that_finish_in_the_other_order_get_their_own_results() {
    let root = Scope::root();
    let branches =
        |engine: &mut Engine| ["left", "right"].map(|name| engine.scope(&root, name).unwrap());
    // Before the crash, right was done first, and left was done last.
    let mut before = Engine::new([]).unwrap();
    let [left, right] = branches(&mut before);
    assert_eq!(step(&mut before, &left, "search"), execute("left/search"));
    assert_eq!(step(&mut before, &right, "search"), execute("right/search"));
    let journal = history([
        finish(&mut before, "right/search", "\"right\""),
        finish(&mut before, "left/search", "\"left\""),
    ]);
    // After it the branches are polled in either order.
    for right_first in [false, true] {
        let mut after = Engine::new(journal.clone()).unwrap();
        let [left, right] = branches(&mut after);
        let mut order = [(&left, "\"left\""), (&right, "\"right\"")];
        if right_first {
            order.reverse();
        }
        for (scope, result) in order {
            assert_eq!(step(&mut after, scope, "search"), recorded(result));
        }
    }
}

#[test]
fn only_one_of_two_branches_was_recorded() {
    let root = Scope::root();
    let mut engine = Engine::new(history([record("right/search", "2")])).unwrap();
    let left = engine.scope(&root, "left").unwrap();
    let right = engine.scope(&root, "right").unwrap();
    assert_eq!(step(&mut engine, &left, "search"), execute("left/search"));
    assert_eq!(step(&mut engine, &right, "search"), recorded("2"));
}

#[test]
fn a_removed_step_leaves_its_entry_unused() {
    let root = Scope::root();
    let journal = history([record("old", "0"), record("kept", "1")]);
    let mut engine = Engine::new(journal).unwrap();
    assert_eq!(step(&mut engine, &root, "kept"), recorded("1"));
    assert_eq!(engine.unused(), 1);
}

#[test]
fn an_inserted_step_is_executed_and_disturbs_nobody() {
    let root = Scope::root();
    let mut engine = Engine::new(history([record("a", "1"), record("b", "2")])).unwrap();
    assert_eq!(step(&mut engine, &root, "a"), recorded("1"));
    assert_eq!(step(&mut engine, &root, "new"), execute("new"));
    assert_eq!(step(&mut engine, &root, "b"), recorded("2"));
}

#[test]
fn a_changed_input_is_a_mismatch_with_both_sides_named() {
    let charge = Record { input: Some(Digest::of("10 EUR")), ..record("charge", "1") };
    let mut engine = Engine::new(history([charge])).unwrap();
    let answer = step_of(&mut engine, &Scope::root(), "charge", EntryKind::Step, Some("99 EUR"));
    let Answer::Mismatch(mismatch) = answer else { panic!("{answer:?}") };
    let (was, is) = (Digest::of("10 EUR").to_string(), Digest::of("99 EUR").to_string());
    assert_eq!(
        mismatch.to_string(),
        format!(
            "entry `charge` does not fit the code: expected a step with input {}, \
             found a step with input {}",
            &was[..12],
            &is[..12]
        )
    );
    assert_eq!(Failure::from(*mismatch).code, "mismatch");
}

#[test]
fn a_changed_kind_is_a_mismatch() {
    let mut engine = Engine::new(history([record("search", "1")])).unwrap();
    let answer = step_of(&mut engine, &Scope::root(), "search", EntryKind::Tool, None);
    let Answer::Mismatch(mismatch) = answer else { panic!("{answer:?}") };
    let message = mismatch.to_string();
    assert!(message.contains("expected a step") && message.contains("found a tool"), "{message}");
}

#[test]
fn a_journal_with_a_gap_or_a_key_twice_is_refused() {
    let gap = vec![entry(1, record("a", "1")), entry(3, record("b", "2"))];
    assert!(Engine::new(gap).is_err());
    assert!(Engine::new(history([record("a", "1"), record("a", "1")])).is_err());
}

#[test]
fn a_step_is_finished_once() {
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(step(&mut engine, &Scope::root(), "a"), execute("a"));
    finish(&mut engine, "a", "1");
    let finished =
        Finished { status: value("2"), attempt: 1, duration: Duration::ZERO, usage: None };
    assert!(engine.finish(&"a".parse().unwrap(), finished).is_err());
}

#[test]
fn names_that_break_the_grammar_are_refused() {
    let mut engine = Engine::new([]).unwrap();
    let scope = Scope::root();
    for name in ["", "a b", "a/b", "a#1"] {
        let command = Command { scope: &scope, name, kind: EntryKind::Step, input: None };
        assert!(engine.step(&command).is_err(), "{name}");
    }
    assert!(engine.scope(&scope, "turn/3").is_ok());
    assert!(engine.scope(&scope, "turn//3").is_err());
}

fn item(number: u64, name: &Name, text: &str) -> InboxItem {
    InboxItem {
        number,
        source: format!("s{number}"),
        name: name.clone(),
        payload: Payload::json(text.to_owned()),
        at: Timestamp::default(),
    }
}

#[test]
fn a_wait_suspends_until_its_signal_arrives_and_takes_signals_in_order() {
    let (root, go): (Scope, Name) = (Scope::root(), "go".parse().unwrap());
    let key: Key = "signal:go".parse().unwrap();
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(engine.wait(&root, &go).unwrap(), Answer::Suspend(key.clone()));
    assert!(engine.is_parked());
    engine.receive([item(1, &"other".parse().unwrap(), "0")]);
    assert_eq!(engine.poll_wait(&key, &go), Answer::Suspend(key.clone()));
    engine.receive([item(2, &go, "1"), item(3, &go, "2")]);
    let Answer::Arrived(first) = engine.poll_wait(&key, &go) else { panic!("it has arrived") };
    assert_eq!(first.status, value("1"));
    assert!(!engine.is_parked());

    // After a crash the journal says that one was taken; the inbox is read again from its start.
    let mut replay = Engine::new(history([first])).unwrap();
    replay.receive([item(1, &"other".parse().unwrap(), "0"), item(2, &go, "1"), item(3, &go, "2")]);
    assert_eq!(replay.wait(&root, &go).unwrap(), recorded("1"));
    let Answer::Arrived(second) = replay.wait(&root, &go).unwrap() else { panic!("it is here") };
    assert_eq!((second.key.as_str(), second.status), ("signal:go#1", value("2")));
    assert_eq!(replay.received(), 3);
}

#[test]
fn a_run_is_not_parked_while_a_sibling_is_in_flight() {
    let (root, go): (Scope, Name) = (Scope::root(), "go".parse().unwrap());
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(step(&mut engine, &root, "tool"), execute("tool"));
    assert!(matches!(engine.wait(&root, &go).unwrap(), Answer::Suspend(_)));
    assert!(!engine.is_parked());
    finish(&mut engine, "tool", "1");
    assert!(engine.is_parked());
}

#[test]
fn a_sleep_goes_on_from_when_it_began() {
    let root = Scope::root();
    let key: Key = "sleep".parse().unwrap();
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(engine.sleep(&root).unwrap(), Asleep::Begin(key.clone()));
    assert!(!engine.is_parked(), "it is not recorded yet");
    let begun = finish(&mut engine, "sleep", "60000");
    engine.wait_on(key.clone());
    assert!(engine.is_parked());

    let at = Timestamp::from_micros(7);
    let mut replay = Engine::new([Entry { at, ..entry(1, begun) }]).unwrap();
    assert_eq!(replay.sleep(&root).unwrap(), Asleep::Since(key, at));
    assert_eq!(replay.sleep(&root).unwrap(), Asleep::Begin("sleep#1".parse().unwrap()));
    let mut other = Engine::new(history([record("sleep", "1")])).unwrap();
    assert!(matches!(other.sleep(&root).unwrap(), Asleep::Mismatch(_)), "a step of that name");
}

#[test]
fn what_the_code_let_go_of_keeps_nothing_from_parking() {
    let (root, go): (Scope, Name) = (Scope::root(), "go".parse().unwrap());
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(step(&mut engine, &root, "slow"), execute("slow"));
    assert!(matches!(engine.wait(&root, &go).unwrap(), Answer::Suspend(_)));
    engine.abandon(&"slow".parse().unwrap());
    assert!(engine.is_parked());
    engine.abandon(&"signal:go".parse().unwrap());
    assert!(!engine.is_parked());
}

#[test]
fn ten_thousand_steps_replay_in_order() {
    let root = Scope::root();
    let key = |n: u32| root.key("step", n).unwrap().to_string();
    let journal = history((0..10_000).map(|n| record(&key(n), &n.to_string())));
    let mut engine = Engine::new(journal).unwrap();
    for n in 0..10_000 {
        assert_eq!(step(&mut engine, &root, "step"), recorded(&n.to_string()));
    }
    assert_eq!(step(&mut engine, &root, "step"), execute("step#10000"));
    assert_eq!(engine.unused(), 0);
}
