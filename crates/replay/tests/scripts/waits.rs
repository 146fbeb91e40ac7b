//! Waits: signals, sleeps, answers, the ends of other runs.

use super::*;

fn signal(engine: &mut Engine, signal: &str) -> Wait {
    engine.signal(&Scope::root(), &name(signal), false).unwrap()
}

/// A wait for a signal with a bound of time.
fn bound(engine: &mut Engine, signal: &str) -> Wait {
    engine.signal(&Scope::root(), &name(signal), true).unwrap()
}

/// The question `may_i` at the top, about this.
fn ask(engine: &mut Engine, about: &str) -> Wait {
    let scope = Scope::root();
    let input = Some(Digest::of(about));
    let command = Command { scope: &scope, name: "may_i", kind: EntryKind::Wait, input };
    engine.open(&command).unwrap()
}

fn question() -> Opening {
    Opening::Interrupt(Box::default())
}

/// The journal of a run that has asked.
fn asked(about: &str) -> Record {
    Record { input: Some(Digest::of(about)), ..opened("may_i", EntryKind::Wait, question()) }
}

#[test]
fn a_wait_suspends_until_its_signal_arrives_and_takes_signals_in_order() {
    let go = key("signal:go");
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(signal(&mut engine, "go"), suspend("signal:go"));
    assert!(engine.is_parked());
    engine.receive([signalled(1, "other", "0")]);
    assert_eq!(engine.poll(&go), None);
    engine.receive([signalled(2, "go", "1"), signalled(3, "go", "2")]);
    let first = engine.poll(&go).unwrap();
    assert_eq!(first.status, value("1"));
    assert!(!engine.is_parked());

    // After a crash the journal says that one was taken; the inbox is read again from its start.
    let mut replay = Engine::new(history([first])).unwrap();
    replay.receive([signalled(1, "other", "0"), signalled(2, "go", "1"), signalled(3, "go", "2")]);
    assert_eq!(signal(&mut replay, "go"), Wait::Recorded(value("1")));
    let Wait::Arrived(second) = signal(&mut replay, "go") else { panic!("it is here") };
    assert_eq!((second.key.as_str(), second.status), ("signal:go#1", value("2")));
    assert_eq!(replay.received(), 3);
}

#[test]
fn a_run_is_not_parked_while_a_sibling_is_in_flight() {
    let root = Scope::root();
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(step(&mut engine, &root, "tool"), execute("tool"));
    assert!(matches!(signal(&mut engine, "go"), Wait::Suspend(..)));
    assert!(!engine.is_parked());
    finish(&mut engine, "tool", "1");
    assert!(engine.is_parked());
}

#[test]
fn an_answer_for_which_there_was_no_room_is_elsewhere() {
    let asked = asked("this");
    let answer = Record { kind: EntryKind::Wait, input: asked.input, ..record("may_i", "1") };
    let mut engine = Engine::with_capacity(2).keeping(0);
    engine.read(history([asked, answer])).unwrap();
    assert_eq!(ask(&mut engine, "this"), Wait::Elsewhere(2));
    assert!(!engine.is_parked());
}

#[test]
fn a_sleep_goes_on_from_when_it_began() {
    let root = Scope::root();
    let key = key("sleep");
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(engine.sleep(&root).unwrap(), Asleep::Begin(key.clone()));
    assert!(!engine.is_parked(), "it is not recorded yet");
    let begun = finish(&mut engine, "sleep", "60000");
    engine.wait_on(key.clone());
    assert!(engine.is_parked());

    let at = Timestamp::from_micros(7);
    let mut replay = Engine::new([Entry { at, ..entry(1, begun) }]).unwrap();
    assert_eq!(replay.sleep(&root).unwrap(), Asleep::Since(key, at));
    assert_eq!(replay.sleep(&root).unwrap(), Asleep::Begin(self::key("sleep#1")));
    let mut other = Engine::new(history([record("sleep", "1")])).unwrap();
    assert!(matches!(other.sleep(&root).unwrap(), Asleep::Mismatch(_)), "a step of that name");
}

#[test]
fn what_the_code_let_go_of_keeps_nothing_from_parking() {
    let root = Scope::root();
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(step(&mut engine, &root, "slow"), execute("slow"));
    assert!(matches!(signal(&mut engine, "go"), Wait::Suspend(..)));
    engine.abandon(&key("slow"));
    assert!(engine.is_parked());
    engine.abandon(&key("signal:go"));
    assert!(!engine.is_parked());
}

#[test]
fn a_sleep_that_somebody_ended_is_over() {
    let begun = Record { kind: EntryKind::Wait, ..record("sleep", "60000") };
    let mut engine = Engine::new(history([begun, patched("sleep", "null")])).unwrap();
    assert_eq!(engine.sleep(&Scope::root()).unwrap(), Asleep::Ended(value("null")));
}

#[test]
fn a_question_is_opened_once_and_ends_under_its_key() {
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(ask(&mut engine, "10 EUR"), Wait::Begin(key("may_i")));
    let begun = engine.begin(&key("may_i"), question()).unwrap();
    assert_eq!(begun, asked("10 EUR"));
    assert_eq!(engine.poll(&key("may_i")), None);
    assert!(engine.is_parked());
    assert_eq!(engine.waits(), [key("may_i")]);

    // Parked, answered, leased again.
    let mut replay = Engine::new(history([begun.clone()])).unwrap();
    assert_eq!(ask(&mut replay, "10 EUR"), Wait::Suspend(key("may_i"), Some(Timestamp::default())));
    replay.receive([ended(1, "other", "0"), ended(2, "may_i", "1")]);
    let closed = replay.poll(&key("may_i")).unwrap();
    assert_eq!(closed, Record { status: value("1"), ..asked("10 EUR") });

    // And once more: what has ended is not ended again.
    let mut third = Engine::new(history([begun, closed])).unwrap();
    third.receive([ended(1, "other", "0"), ended(2, "may_i", "1")]);
    assert_eq!(ask(&mut third, "10 EUR"), Wait::Recorded(value("1")));
    assert!(third.waits().is_empty());
}

#[test]
fn an_answer_that_was_here_before_the_question_is_taken_at_once() {
    let mut engine = Engine::new(history([asked("10 EUR")])).unwrap();
    engine.receive([ended(1, "may_i", "1")]);
    assert!(matches!(ask(&mut engine, "10 EUR"), Wait::Arrived(_)));
    engine.receive([ended(2, "may_i", "2")]);
    assert_eq!(engine.poll(&key("may_i")), None, "the first answer counts");
}

#[test]
fn an_answer_given_for_something_else_is_a_mismatch() {
    for entries in [
        vec![asked("10 EUR")],
        vec![asked("10 EUR"), Record { status: value("1"), ..asked("10 EUR") }],
    ] {
        let mut engine = Engine::new(history(entries)).unwrap();
        assert!(matches!(ask(&mut engine, "99 EUR"), Wait::Mismatch(_)));
    }
}

#[test]
fn a_wait_that_somebody_gave_a_result_has_it() {
    let mut engine = Engine::new(history([asked("10 EUR"), patched("may_i", "7")])).unwrap();
    engine.receive([ended(1, "may_i", "1")]);
    assert_eq!(ask(&mut engine, "99 EUR"), Wait::Recorded(value("7")));
}

#[test]
fn a_wait_with_a_bound_has_a_beginning_on_record() {
    let started = opened("signal:go", EntryKind::Wait, Opening::Started);
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(bound(&mut engine, "go"), Wait::Begin(key("signal:go")));
    assert_eq!(engine.begin(&key("signal:go"), Opening::Started).unwrap(), started);
    let late = engine.time_out(&key("signal:go")).unwrap();
    let EntryStatus::Failed(failure) = &late.status else { panic!("{late:?}") };
    assert_eq!(failure.code, "timed_out");

    let at = Timestamp::from_micros(7);
    let mut replay = Engine::new([Entry { at, ..entry(1, started.clone()) }]).unwrap();
    assert_eq!(bound(&mut replay, "go"), Wait::Suspend(key("signal:go"), Some(at)));
    // The signal that came too late is for the next wait, in this lease and in the next.
    let mut again = Engine::new(history([started, late.clone()])).unwrap();
    again.receive([signalled(1, "go", "1")]);
    assert_eq!(bound(&mut again, "go"), Wait::Recorded(late.status));
    assert!(matches!(bound(&mut again, "go"), Wait::Arrived(_)));
}

#[test]
fn a_signal_that_is_here_when_the_time_is_up_counts() {
    let started = opened("signal:go", EntryKind::Wait, Opening::Started);
    let mut engine = Engine::new(history([started])).unwrap();
    assert!(matches!(bound(&mut engine, "go"), Wait::Suspend(..)));
    engine.receive([signalled(1, "go", "1")]);
    assert_eq!(engine.time_out(&key("signal:go")).unwrap().status, value("1"));
    assert_eq!(engine.time_out(&key("signal:go")), None, "it has ended");
}

#[test]
fn waits_are_told_apart_by_their_names() {
    let (scope, mut engine) = (Scope::root(), Engine::new([]).unwrap());
    for name in ["sleep", "signal:go", "doubt:charge"] {
        let command = Command { scope: &scope, name, kind: EntryKind::Wait, input: None };
        assert!(engine.open(&command).is_err(), "{name}");
    }
}

#[test]
fn signals_that_another_run_took_are_not_this_ones() {
    let taken = Record { kind: EntryKind::Wait, ..record("signal:go", "1") };
    let copied = Entry { epoch: 0, ..entry(1, taken) };
    let mut fork = Engine::new([copied]).unwrap();
    fork.receive([signalled(1, "go", "2")]);
    assert_eq!(signal(&mut fork, "go"), Wait::Recorded(value("1")));
    assert!(matches!(signal(&mut fork, "go"), Wait::Arrived(_)));
}
