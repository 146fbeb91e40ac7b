//! Steps that must not happen twice.

use super::*;

fn once(engine: &mut Engine, name: &str) -> Answer {
    let scope = Scope::root();
    let input = Some(Digest::of("10 EUR"));
    engine.step_once(&Command { scope: &scope, name, kind: EntryKind::Step, input }).unwrap()
}

fn started(text: &str) -> Record {
    let input = Some(Digest::of("10 EUR"));
    Record { input, ..opened(text, EntryKind::Step, Opening::Started) }
}

fn in_doubt(text: &str) -> Answer {
    Answer::InDoubt(key(text))
}

#[test]
fn a_step_that_was_started_and_has_no_result_is_in_doubt() {
    let mut first = Engine::new([]).unwrap();
    assert_eq!(once(&mut first, "charge"), execute("charge"));
    assert_eq!(first.start(&key("charge")).unwrap(), started("charge"));
    let done = finish(&mut first, "charge", "1");

    let mut lost = Engine::new(history([started("charge")])).unwrap();
    assert_eq!(once(&mut lost, "charge"), in_doubt("charge"));
    assert!(!lost.is_parked());
    assert_eq!(finish(&mut lost, "charge", "1"), done, "it had happened");

    let mut kept = Engine::new(history([started("charge"), done])).unwrap();
    assert_eq!(once(&mut kept, "charge"), recorded("1"));
}

#[test]
fn a_step_in_doubt_that_is_asked_for_something_else_is_a_mismatch() {
    let mut engine = Engine::new(history([started("charge")])).unwrap();
    let root = Scope::root();
    let answer = step_of(&mut engine, &root, "charge", EntryKind::Step, Some("99 EUR"));
    assert!(matches!(answer, Answer::Mismatch(_)));
    let mut engine = Engine::new(history([started("charge")])).unwrap();
    let answer = step_of(&mut engine, &root, "charge", EntryKind::Step, Some("10 EUR"));
    assert_eq!(answer, execute("charge"), "the code says now that twice is no harm");
}

#[test]
fn a_failure_of_such_a_step_is_never_tried_again() {
    let mut engine = Engine::new([]).unwrap();
    once(&mut engine, "charge");
    engine.start(&key("charge")).unwrap();
    let status = failed("charge", "down").status;
    let finished = Finished { status, attempt: 1, duration: Duration::ZERO, usage: None };
    engine.finish(&key("charge"), finished).unwrap();
    assert!(engine.failed_with(&Failure::retryable("down", "not now")).is_empty());
}

#[test]
fn each_start_has_a_question_of_its_own() {
    let steps = |engine: &mut Engine| {
        [once(engine, "charge"), once(engine, "charge")].map(|answer| match answer {
            Answer::InDoubt(key) => engine.doubt(&key).unwrap(),
            answer => panic!("{answer:?}"),
        })
    };
    let mut engine = Engine::new(history([started("charge"), started("charge#1")])).unwrap();
    let questions = [key("doubt:charge"), key("doubt:charge#1")];
    assert_eq!(steps(&mut engine), questions.clone().map(Wait::Begin));
    assert!(engine.is_parked(), "nothing is executed while somebody is asked");
    assert_eq!(engine.waits(), questions);
    assert_eq!(engine.start(&key("charge")).unwrap(), started("charge"));
    assert!(!engine.is_parked());

    // The first was settled by doing it again, and that was lost as well.
    let asked = |text: &str| Record { kind: EntryKind::Wait, ..started(text) };
    let approved = |text: &str| Record { status: value("1"), ..asked(text) };
    let mut engine = Engine::new(history([
        started("charge"),
        started("charge#1"),
        asked("doubt:charge"),
        approved("doubt:charge"),
        started("charge"),
    ]))
    .unwrap();
    let [first, second] = steps(&mut engine);
    assert_eq!(first, Wait::Begin(key("doubt:doubt:charge")), "no answer counts twice");
    assert_eq!(second, Wait::Begin(key("doubt:charge#1")));
}

#[test]
fn a_question_stands_beside_its_step() {
    let turn = Scope::root().child("turn/3", 0).unwrap();
    let mut engine = Engine::new(history([started("turn/3/pay")])).unwrap();
    let turn_again = engine.scope(&Scope::root(), "turn/3").unwrap();
    assert_eq!(turn, turn_again);
    let input = Some(Digest::of("10 EUR"));
    let command = Command { scope: &turn, name: "pay", kind: EntryKind::Step, input };
    assert_eq!(engine.step_once(&command).unwrap(), in_doubt("turn/3/pay"));
    assert_eq!(engine.doubt(&key("turn/3/pay")).unwrap(), Wait::Begin(key("turn/3/doubt:pay")));
}

#[test]
fn an_answer_from_before_the_start_is_about_another_execution() {
    // A fork has the answers of the run that it was made of, and not what was open there.
    let approved = Record { kind: EntryKind::Wait, status: value("1"), ..started("doubt:charge") };
    let entries = history([approved, started("charge")]);
    let mut engine = Engine::new(entries.clone()).unwrap();
    assert_eq!(once(&mut engine, "charge"), in_doubt("charge"));
    let second = key("doubt:doubt:charge");
    assert_eq!(engine.doubt(&key("charge")).unwrap(), Wait::Begin(second.clone()));
    let asked = engine.begin(&second, Opening::Started).unwrap();

    let entries = entries.into_iter().chain([entry(3, asked)]);
    let mut engine = Engine::new(entries).unwrap();
    once(&mut engine, "charge");
    let waiting = Wait::Suspend(second, Some(Timestamp::default()));
    assert_eq!(engine.doubt(&key("charge")).unwrap(), waiting);
}

#[test]
fn doubts_of_one_lease_are_told_apart_as_well() {
    let mut engine = Engine::new([]).unwrap();
    once(&mut engine, "charge");
    engine.start(&key("charge")).unwrap();
    for (number, doubt) in [(1, "doubt:charge"), (2, "doubt:doubt:charge")] {
        assert_eq!(engine.doubt(&key("charge")).unwrap(), Wait::Begin(key(doubt)));
        engine.abandon(&key(doubt));
        assert_eq!(engine.doubt(&key("charge")).unwrap(), Wait::Begin(key(doubt)), "the same");
        engine.receive([ended(number, doubt, "1")]);
        assert!(engine.poll(&key(doubt)).is_some());
        engine.start(&key("charge")).unwrap();
    }
}
