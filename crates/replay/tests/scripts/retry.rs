//! Steps that failed and are executed again.

use super::*;

/// What the control plane writes when a run is tried again.
fn again(key: &str) -> Record {
    opened(key, EntryKind::Step, Opening::Again)
}

#[test]
fn a_failure_that_no_longer_counts_is_executed_again() {
    let root = Scope::root();
    let fetch =
        Record { kind: EntryKind::Tool, input: Some(Digest::of("url")), ..failed("fetch", "down") };
    let journal = [record("plan", "1"), fetch, again("fetch")];
    let mut engine = Engine::new(history(journal.clone())).unwrap();
    assert_eq!(step(&mut engine, &root, "plan"), recorded("1"));
    // Another input is no mismatch: nobody has a result of the old one.
    assert_eq!(step_of(&mut engine, &root, "fetch", EntryKind::Tool, None), execute("fetch"));
    let fetched = finish(&mut engine, "fetch", "2");

    let journal = journal.into_iter().chain([fetched]);
    let mut engine = Engine::new(history(journal)).unwrap();
    assert_eq!(step_of(&mut engine, &root, "fetch", EntryKind::Tool, None), recorded("2"));
}

#[test]
fn a_step_can_fail_again_and_again() {
    let journal = [failed("a", "x"), again("a"), failed("a", "x"), again("a"), failed("a", "y")];
    let mut engine = Engine::new(history(journal)).unwrap();
    let answer = step(&mut engine, &Scope::root(), "a");
    assert_eq!(answer, Answer::Recorded(failed("a", "y").status));
}

#[test]
fn the_steps_that_failed_so_are_known() {
    let root = Scope::root();
    let down = Failure::retryable("down", "not now");
    let mut engine = Engine::new(history([failed("a", "down"), failed("b", "other")])).unwrap();
    step(&mut engine, &root, "a");
    step(&mut engine, &root, "b");
    step(&mut engine, &root, "c");
    let status = EntryStatus::Failed(down.clone());
    let finished = Finished { status, attempt: 3, duration: Duration::ZERO, usage: None };
    engine.finish(&key("c"), finished).unwrap();
    assert_eq!(engine.failed_with(&down), [key("a"), key("c")]);
    assert!(engine.failed_with(&Failure::retryable("down", "not yet")).is_empty());
}

#[test]
fn a_long_pause_between_two_attempts_is_on_record() {
    let (root, pause) = (Scope::root(), Duration::from_hours(1));
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(step(&mut engine, &root, "a"), execute("a"));
    let status = failed("a", "down").status;
    let first = Finished { status, attempt: 1, duration: Duration::ZERO, usage: None };
    let records = engine.again(&key("a"), first, pause).unwrap();
    engine.wait_on(key("a"));
    assert!(engine.is_parked(), "the worker need not be there while it lasts");
    engine.go_on(&key("a"));
    assert!(!engine.is_parked());
    finish(&mut engine, "a", "1");

    let at = Timestamp::from_micros(7);
    let entries = (1..).zip(records).map(|(seq, record)| Entry { at, ..entry(seq, record) });
    let mut replay = Engine::new(entries).unwrap();
    let due = Again { attempt: 2, pause, since: at };
    assert_eq!(step(&mut replay, &root, "a"), Answer::Again(key("a"), due));
    finish(&mut replay, "a", "1");
}
