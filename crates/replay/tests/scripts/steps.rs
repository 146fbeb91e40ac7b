//! Steps: recorded, executed, mismatched, given by somebody.

use super::*;

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

/// A later result may be small enough again.
#[test]
fn a_result_for_which_there_was_no_room_is_elsewhere() {
    let journal = [record("plan", "1"), record("search", "\"much\""), record("act", "22")];
    let mut engine = Engine::with_capacity(3).keeping(3);
    engine.read(history(journal)).unwrap();
    let root = Scope::root();
    assert_eq!(step(&mut engine, &root, "search"), Answer::Elsewhere(2));
    assert_eq!(step(&mut engine, &root, "plan"), recorded("1"));
    assert_eq!(step(&mut engine, &root, "act"), recorded("22"));
    assert_eq!(engine.unused(), 0);
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
    let started = opened("a", EntryKind::Step, Opening::Started);
    let other = Record { input: Some(Digest::of("other")), ..record("a", "1") };
    for twice in [
        vec![record("a", "1"), record("a", "1")],
        vec![failed("a", "x"), record("a", "1")],
        vec![record("a", "1"), opened("a", EntryKind::Step, Opening::Again)],
        vec![record("a", "1"), started.clone()],
        vec![started.clone(), opened("a", EntryKind::Step, Opening::Again)],
        vec![started, other],
        vec![patched("a", "1"), record("a", "2")],
    ] {
        assert!(Engine::new(history(twice.clone())).is_err(), "{twice:?}");
    }
}

#[test]
fn what_the_system_wrote_is_passed_over() {
    let steered = |text: &str| {
        let status = EntryStatus::Steered(Steering::new("ann", "it is late"));
        Record { status, kind: EntryKind::Steering, ..record(text, "") }
    };
    let journal = [steered("tenure:pause#1"), steered("tenure:resume#2"), record("a", "1")];
    let mut engine = Engine::new(history(journal)).unwrap();
    assert_eq!(step(&mut engine, &Scope::root(), "a"), recorded("1"));
    assert_eq!(engine.unused(), 0);
}

#[test]
fn what_somebody_gave_a_step_is_its_result_whatever_it_is_given() {
    let charge = Record { input: Some(Digest::of("10 EUR")), ..record("charge", "1") };
    for before in [vec![], vec![charge], vec![failed("charge", "x")]] {
        let journal = before.into_iter().chain([patched("charge", "7")]);
        let mut engine = Engine::new(history(journal)).unwrap();
        let root = Scope::root();
        let answer = step_of(&mut engine, &root, "charge", EntryKind::Tool, Some("99 EUR"));
        assert_eq!(answer, recorded("7"));
    }
}

#[test]
fn the_last_patch_counts() {
    let mut engine = Engine::new(history([patched("a", "1"), patched("a", "2")])).unwrap();
    assert_eq!(step(&mut engine, &Scope::root(), "a"), recorded("2"));
}

#[test]
fn a_step_is_finished_once() {
    let mut engine = Engine::new([]).unwrap();
    assert_eq!(step(&mut engine, &Scope::root(), "a"), execute("a"));
    finish(&mut engine, "a", "1");
    let finished =
        Finished { status: value("2"), attempt: 1, duration: Duration::ZERO, usage: None };
    assert!(engine.finish(&key("a"), finished).is_err());
}

#[test]
fn names_that_break_the_grammar_are_refused() {
    let mut engine = Engine::new([]).unwrap();
    let scope = Scope::root();
    for name in ["", "a b", "a/b", "a#1", "tenure:cancel", "doubt:a"] {
        let command = Command { scope: &scope, name, kind: EntryKind::Step, input: None };
        assert!(engine.step(&command).is_err(), "{name}");
    }
    assert!(engine.scope(&scope, "turn/3").is_ok());
    assert!(engine.scope(&scope, "turn//3").is_err());
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

#[test]
fn a_journal_in_pages_is_answered_in_whatever_order_the_code_asks() {
    let root = Scope::root();
    let journal = history((0..9).map(|n| record(&format!("s{n}"), &n.to_string())));
    let mut engine = Engine::with_capacity(4);
    for page in journal.chunks(4) {
        engine.read(page.to_vec()).unwrap();
    }
    assert_eq!(engine.entries(), 9);
    for n in [3, 4, 0, 8, 1, 2, 7, 6] {
        assert_eq!(step(&mut engine, &root, &format!("s{n}")), recorded(&n.to_string()));
    }
    assert_eq!(engine.unused(), 1);
    // The same name again is another step, and the last one ends the replay.
    assert_eq!(step(&mut engine, &root, "s3"), execute("s3#1"));
    assert_eq!(step(&mut engine, &root, "s5"), recorded("5"));
    assert_eq!(step(&mut engine, &root, "s9"), execute("s9"));
    assert_eq!(engine.unused(), 0);
    // A page that is missing, or comes twice.
    let mut engine = Engine::new(journal[..4].to_vec()).unwrap();
    assert!(engine.read(journal[5..].to_vec()).is_err());
    let mut engine = Engine::new(journal[..4].to_vec()).unwrap();
    assert!(engine.read(journal[..4].to_vec()).is_err());
}
