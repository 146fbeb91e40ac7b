//! What a transition says of how much it changes: who saves it writes no more than that.

use tenure_core::run::Outcome;
use tenure_core::{
    Change, EntryKind, EntryStatus, Failure, Lease, Opening, Payload, Record, Run, RunState,
    Transition, Usage,
};

use crate::common::{
    GRACE, OFFER, TTL, ann, apply, at, call, commit, commit_of, created, lease_id, opened,
    question, record, worker,
};

/// A run that only advanced is the one before in everything but what a sign of life changes.
pub(crate) fn assert_kept(before: &Run, change: Change, after: &Run) {
    if change == Change::Whole {
        return;
    }
    let (old, new) = (before.lease_held(), after.lease_held());
    let (Some(old), Some(new)) = (old, new) else { panic!("nobody owns it: {after:?}") };
    let lease = Lease { until: new.until, started: new.started, ..old.clone() };
    // Whatever field is added to a run stays the same until it is named here, and in the statement.
    let promised = Run {
        state: RunState::Running { lease },
        attempts: after.attempts,
        offers: after.offers,
        stalled: after.stalled,
        next_seq: after.next_seq,
        usage: after.usage.clone(),
        last_commit: after.last_commit,
        revision: after.revision,
        updated_at: after.updated_at,
        ..before.clone()
    };
    assert_eq!(promised, *after, "it changed more than it says");
}

fn leased() -> Transition {
    created().run.lease(lease_id(1), worker(), at(0), OFFER).unwrap()
}

fn beat(run: &Run) -> Transition {
    run.beat(lease_id(1), at(1), TTL).unwrap()
}

fn append(run: &Run, records: Vec<Record>, outcome: Option<Outcome>) -> Transition {
    apply(run, commit_of(lease_id(1), run.next_seq, records, outcome), at(2)).unwrap().unwrap()
}

#[test]
fn signs_of_life_and_results_advance() {
    let run = leased().run;
    let failed = EntryStatus::Failed(Failure::retryable("later", "not now"));
    let usage = Some(Usage { input_tokens: 7, ..Usage::default() });
    let started = opened("once", EntryKind::Step, Opening::Started);
    for advance in [
        beat(&run),
        append(&run, Vec::new(), None),
        append(&run, vec![record("a"), Record { status: failed, ..record("b") }], None),
        append(&run, vec![Record { usage, ..record("a") }, started], None),
    ] {
        assert_eq!(advance.change, Change::Advance);
        assert_kept(&run, advance.change, &advance.run);
    }
}

/// How a called run has ended, and what it used.
fn answered(key: &str, input_tokens: u64, tool_calls: u64) -> Record {
    let usage = Some(Usage { input_tokens, tool_calls, ..Usage::default() });
    Record { kind: EntryKind::Child, usage, ..record(key) }
}

#[test]
fn what_called_runs_use_is_summed_beside_what_the_run_uses() {
    let run = leased().run;
    let model =
        Record { usage: Some(Usage { input_tokens: 5, ..Usage::default() }), ..record("model") };
    let tool = Record { kind: EntryKind::Tool, ..record("tool") };
    let records = vec![call("b"), model, tool, answered("b", 7, 2)];
    let after = append(&run, records, None).run;
    let sums = |usage: &Usage| (usage.input_tokens, usage.tool_calls);
    assert_eq!(sums(&after.usage), (5, 2), "a tool and an agent were called");
    assert_eq!(sums(&after.called), (7, 2));
    assert_eq!(sums(&after.total()), (12, 4));
}

#[test]
fn an_attempt_that_is_tried_again_is_no_call_of_a_tool() {
    let run = leased().run;
    let failed = EntryStatus::Failed(Failure::retryable("later", "not now"));
    let tool = |status| Record { kind: EntryKind::Tool, status, ..record("tool") };
    let again = tool(EntryStatus::Opened(Opening::Again));
    let after = append(&run, vec![tool(failed.clone()), again], None).run;
    assert_eq!(after.usage.tool_calls, 0);
    assert_eq!(append(&after, vec![tool(failed)], None).run.usage.tool_calls, 1);
}

#[test]
fn everything_else_changes_the_whole_row() {
    let run = leased().run;
    let succeed = Outcome::Succeed(Payload::json("1"));
    for whole in [
        created(),
        leased(),
        append(&run, vec![question()], None),
        append(&run, vec![record("a"), call("b")], None),
        append(&run, vec![answered("b", 7, 0)], None),
        append(&run, vec![record("a")], Some(succeed)),
        append(&run, Vec::new(), Some(Outcome::Release)),
        run.cancel(ann(), at(1), GRACE).unwrap().unwrap(),
        run.pause(ann(), at(1)).unwrap().unwrap(),
        created().run.prioritize(5, ann(), at(1)).unwrap().unwrap(),
        run.withdraw(lease_id(1), at(1)).unwrap(),
        run.expire(at(999)).unwrap(),
    ] {
        assert_eq!(whole.change, Change::Whole, "{whole:?}");
    }
}

#[test]
fn joined_transitions_change_as_much_as_either() {
    let run = leased().run;
    let twice = beat(&run).then(append(&beat(&run).run, vec![record("a")], None));
    assert_eq!(twice.change, Change::Advance);
    assert_kept(&run, twice.change, &twice.run);
    let cancel = |run: &Run| run.cancel(ann(), at(1), GRACE).unwrap().unwrap();
    assert_eq!(beat(&run).then(cancel(&beat(&run).run)).change, Change::Whole);
    assert_eq!(cancel(&run).then(beat(&cancel(&run).run)).change, Change::Whole);
    assert_eq!(leased().then(beat(&run)).change, Change::Whole, "the lease is new");
    let again = apply(&twice.run, commit(lease_id(1), 2, &["b"], None), at(3)).unwrap().unwrap();
    assert_kept(&run, twice.change, &twice.clone().then(again).run);
}
