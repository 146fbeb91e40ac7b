//! The worker protocol, driven by hand: whose write counts, and what becomes of a silent worker.

use std::time::Duration;

use insta::assert_snapshot;
use tenure_core::limits;
use tenure_sdk::v1;
use tenure_server::Settings;

use crate::{Hand, append, end, record, said, succeed};

/// The message with ids taken out.
fn bare(status: &tonic::Status, run: &v1::LeasedRun) -> String {
    said(status).replace(&run.run, "run_…")
}

#[tokio::test]
async fn the_same_commit_again_is_answered_as_before() {
    let hand = Hand::start().await;
    hand.app.create("hello", "1").await;
    let leased = hand.leased().await;
    let request = append(&leased, 1, &["a", "b"]);
    let first = hand.commit(request.clone()).await.unwrap();
    let again = hand.commit(request).await.unwrap();
    assert_eq!((first.next_seq, again.next_seq), (3, 3));
    assert_eq!(hand.app.keys(&leased.run).await, ["a", "b"]);
}

#[tokio::test]
async fn another_write_for_a_taken_place_is_a_conflict() {
    let hand = Hand::start().await;
    hand.app.create("hello", "1").await;
    let leased = hand.leased().await;
    hand.commit(append(&leased, 1, &["a"])).await.unwrap();
    let mut other = append(&leased, 1, &["a"]);
    other.records = vec![record("a", "2")];
    let conflict = hand.commit(other).await.unwrap_err();
    assert_snapshot!(bare(&conflict, &leased), @"AlreadyExists: entry 1 of run_… is already recorded with other content; drop the run and report this worker");
    let gap = hand.commit(append(&leased, 3, &["c"])).await.unwrap_err();
    assert_snapshot!(bare(&gap, &leased), @"FailedPrecondition: the journal of run_… ends at entry 1: entry 3 would leave a gap");
}

#[tokio::test]
async fn a_run_is_completed_once() {
    let hand = Hand::start().await;
    hand.app.create("hello", "1").await;
    let leased = hand.leased().await;
    let first = end(&leased, 1, succeed());
    hand.commit(first.clone()).await.unwrap();
    hand.commit(first).await.expect("the same completion again is answered as before");
    let failure = v1::Failure { code: "late".into(), ..v1::Failure::default() };
    let fail = v1::Fail { failure: Some(failure), retry_after: None, again: Vec::new() };
    let second = hand.commit(end(&leased, 1, v1::outcome::Outcome::Fail(fail))).await.unwrap_err();
    assert_snapshot!(bare(&second, &leased), @"Aborted: run_… is succeeded and no longer leased; drop it");
    let run = hand.app.run(&leased.run).await;
    assert_eq!((run.state(), run.output.unwrap().data), (v1::RunState::Succeeded, "42".into()));
}

#[tokio::test]
async fn who_was_replaced_writes_nothing_more() {
    let hand = Hand::start().await;
    hand.app.create("hello", "1").await;
    let first = hand.leased().await;
    hand.commit(append(&first, 1, &["a"])).await.unwrap();
    hand.app.pass(Duration::from_secs(31)).await;
    let second = hand.leased().await;
    assert_eq!((&second.run, second.next_seq), (&first.run, 2));
    assert!(second.epoch > first.epoch);
    let keys: Vec<String> =
        second.entries.iter().map(|entry| entry.record.clone().unwrap().key).collect();
    assert_eq!(keys, ["a"], "the new owner gets the journal with the lease");
    let late = hand.commit(append(&first, 2, &["b"])).await.unwrap_err();
    assert_snapshot!(bare(&late, &first), @"Aborted: run_… is leased to another worker; drop it");
    assert!(hand.beat(&first).await[0].lost);
    assert!(hand.beat(&second).await.is_empty());
    hand.commit(append(&second, 2, &["b"])).await.unwrap();
    let epochs: Vec<u64> =
        hand.app.journal(&first.run).await.iter().map(|entry| entry.epoch).collect();
    assert_eq!(epochs, [first.epoch, second.epoch]);
}

#[tokio::test]
async fn a_late_owner_that_nobody_replaced_goes_on() {
    // No sweep comes by: what is asked here is what a write of the late owner is answered.
    let hand = Hand::with(Settings { tick: Duration::from_hours(1), ..Settings::default() }).await;
    hand.app.create("hello", "1").await;
    let leased = hand.leased().await;
    hand.beat(&leased).await;
    hand.app.pass(limits::LEASE_TTL * 2).await;
    hand.commit(append(&leased, 1, &["a"])).await.unwrap();
    assert!(hand.beat(&leased).await.is_empty());
    assert_eq!(hand.app.service.expire().await.unwrap(), 0, "it is good for another ttl");
}

#[tokio::test]
async fn an_offer_that_nobody_takes_up_comes_back_soon_and_costs_nothing() {
    let hand = Hand::start().await;
    hand.app.create("hello", "1").await;
    let first = hand.leased().await;
    hand.app.pass(Duration::from_secs(11)).await;
    let second = hand.leased().await;
    assert_eq!((second.run, second.attempts), (first.run, 0));
}

#[tokio::test]
async fn a_run_that_loses_its_workers_without_progress_fails_visibly() {
    let hand = Hand::start().await;
    hand.app.create("hello", "1").await;
    let mut last = String::new();
    for _ in 0..5 {
        let leased = hand.leased().await;
        hand.beat(&leased).await;
        last.clone_from(&leased.run);
        // Past the lease, then past the pause before the next offer.
        hand.app.pass(Duration::from_secs(31)).await;
        hand.app.until(&last, |run| run.state() != v1::RunState::Running).await;
        hand.app.pass(Duration::from_secs(301)).await;
    }
    let failed = hand.app.ended(&last).await;
    let failure = failed.failure.unwrap();
    assert_snapshot!(failure.message, @"exhausted: its worker was lost 5 times in a row without a new entry");
    assert_eq!((failure.code.as_str(), failed.attempts), ("exhausted", 5));
}

#[tokio::test]
async fn a_run_may_ask_for_fewer_attempts() {
    let hand = Hand::start().await;
    let request = v1::CreateRunRequest {
        tenant: "default".into(),
        agent: "hello".into(),
        max_attempts: 1,
        ..v1::CreateRunRequest::default()
    };
    let run = hand.app.client.runs().create_run(request).await.unwrap().into_inner().id;
    let leased = hand.leased().await;
    hand.commit(append(&leased, 1, &["a"])).await.unwrap();
    hand.app.pass(Duration::from_secs(31)).await;
    let failure = hand.app.ended(&run).await.failure.unwrap();
    assert_snapshot!(failure.message, @"exhausted: its worker was lost in each of 1 attempts");
}

#[tokio::test]
async fn a_cancel_reaches_the_worker_and_is_forced_after_its_grace() {
    let hand = Hand::start().await;
    for answered in [true, false] {
        let run = hand.app.create("hello", "1").await;
        let leased = hand.leased().await;
        hand.beat(&leased).await;
        let request = v1::CancelRunRequest {
            tenant: "default".into(),
            run: run.clone(),
            steering: Some(crate::steering("ann", "enough")),
        };
        let asked = hand.app.client.runs().cancel_run(request).await.unwrap().into_inner();
        assert!(asked.cancel_requested && asked.state() == v1::RunState::Running);
        assert!(hand.beat(&leased).await[0].cancel_requested);
        if answered {
            // What cleaning up records is still taken.
            let response = hand.commit(append(&leased, 1, &["clean-up"])).await.unwrap();
            assert!(response.cancel_requested);
            let outcome = v1::outcome::Outcome::Cancelled(v1::Cancelled {});
            hand.commit(end(&leased, 2, outcome)).await.unwrap();
        } else {
            hand.app.pass(Duration::from_secs(31)).await;
        }
        let ended = hand.app.ended(&run).await;
        assert_eq!(
            (ended.state(), &*ended.steering.unwrap().reason),
            (v1::RunState::Cancelled, "enough")
        );
        assert_eq!(
            hand.commit(append(&leased, 2, &["late"])).await.unwrap_err().code(),
            tonic::Code::Aborted
        );
    }
}

#[tokio::test]
async fn a_suspend_that_has_not_seen_the_inbox_is_refused() {
    let hand = Hand::start().await;
    let run = hand.app.create("hello", "1").await;
    let leased = hand.leased().await;
    let signal = v1::SignalRunRequest {
        tenant: "default".into(),
        run: run.clone(),
        name: "go".into(),
        ..v1::SignalRunRequest::default()
    };
    hand.app.client.runs().signal_run(signal.clone()).await.unwrap();
    let suspend = |inbox| {
        v1::outcome::Outcome::Suspend(v1::Suspend { inbox, wake_after: None, on: Vec::new() })
    };
    let refused = hand.commit(end(&leased, 1, suspend(0))).await.unwrap_err();
    assert_snapshot!(bare(&refused, &leased), @"FailedPrecondition: run_… has 1 inbox entries and the worker has seen 0; read them before suspending");
    hand.commit(end(&leased, 1, suspend(1))).await.unwrap();
    assert_eq!(hand.app.run(&run).await.state(), v1::RunState::Waiting);
    assert!(hand.poll(0).await.is_none(), "a parked run is nobody's");
    hand.app.client.runs().signal_run(signal).await.unwrap();
    assert_eq!(hand.leased().await.inbox, 2);
}

#[tokio::test]
async fn a_poller_that_left_does_not_keep_a_run() {
    let hand = Hand::start().await;
    let gone = hand.poll(1).await;
    assert!(gone.is_none());
    let run = hand.app.create("hello", "1").await;
    assert_eq!(hand.leased().await.run, run);
}

#[tokio::test]
async fn a_stopping_control_plane_answers_held_polls() {
    let hand = Hand::start().await;
    let stop = async {
        // What was begun before is held when this has been answered.
        hand.app.publish("other").await;
        hand.app.stop();
    };
    let (polled, ()) = tokio::join!(hand.poll(50_000), stop);
    assert!(polled.is_none());
}

/// A record of a failure that fills a page quickly.
fn failed(key: &str, message: &str) -> v1::Record {
    let failure = v1::Failure { code: "broken".into(), message: message.into(), retryable: false };
    v1::Record { status: Some(v1::record::Status::Failed(failure)), ..record(key, "") }
}

#[tokio::test]
async fn a_journal_is_never_cut_short_by_what_fills_its_pages() {
    let hand = Hand::start().await;
    hand.app.create("hello", "1").await;
    let first = hand.leased().await;
    let long = "x".repeat(4 << 10);
    let records = (0..700).map(|number| failed(&format!("s{number}"), &long)).collect();
    hand.commit(v1::CommitRequest { records, ..append(&first, 1, &[]) }).await.unwrap();
    assert_eq!(hand.app.journal(&first.run).await.len(), 700);
    hand.app.pass(Duration::from_secs(31)).await;
    let second = hand.leased().await;
    assert!(second.more && second.entries.len() < 700, "{} entries", second.entries.len());
}

#[tokio::test]
async fn the_largest_input_and_the_largest_page_are_delivered_together() {
    let hand = Hand::start().await;
    let big = "x".repeat(1 << 20);
    let run = hand.app.create("hello", &big).await;
    let first = hand.leased().await;
    for seq in 1..=3 {
        let mut request = append(&first, seq, &[]);
        request.records = vec![record(&format!("s{seq}"), &big)];
        hand.commit(request).await.unwrap();
    }
    hand.app.pass(Duration::from_secs(31)).await;
    let second = hand.leased().await;
    assert_eq!((&second.run, second.entries.len(), second.more), (&run, 2, true));
    assert_eq!(hand.app.journal(&run).await.len(), 3);
}

#[tokio::test]
async fn text_that_cannot_be_kept_is_refused_or_replaced() {
    let hand = Hand::start().await;
    let run = hand.app.create("hello", "1").await;
    let leased = hand.leased().await;
    let mut request = append(&leased, 1, &[]);
    request.records = vec![failed("s1", "a\0b")];
    hand.commit(request).await.unwrap();
    let Some(v1::record::Status::Failed(kept)) =
        hand.app.journal(&run).await.remove(0).record.unwrap().status
    else {
        panic!("it was recorded as something else");
    };
    assert_eq!(kept.message, "a\u{fffd}b");
    let cancel = v1::CancelRunRequest {
        tenant: "default".into(),
        run,
        steering: Some(crate::steering("ann", "\0")),
    };
    let refused = hand.app.client.runs().cancel_run(cancel).await.unwrap_err();
    assert_snapshot!(said(&refused), @"InvalidArgument: the reason contains a NUL character; leave it out");
}

/// Suspends until a signal, or until so many seconds have passed.
async fn sleep(hand: &Hand, leased: &v1::LeasedRun, seconds: u64) {
    let wake_after = Some(Duration::from_secs(seconds).into());
    let inbox = leased.inbox;
    let suspend = v1::outcome::Outcome::Suspend(v1::Suspend { inbox, wake_after, on: Vec::new() });
    hand.commit(end(leased, 1, suspend)).await.unwrap();
}

#[tokio::test]
async fn a_run_sleeps_until_its_time_or_until_a_signal() {
    let hand = Hand::start().await;
    let run = hand.app.create("hello", "1").await;
    sleep(&hand, &hand.leased().await, 3_600).await;
    let asleep = hand.app.run(&run).await;
    assert!(asleep.state() == v1::RunState::Waiting && asleep.wakes_at.is_some(), "{asleep:?}");
    hand.app.pass(Duration::from_secs(3_599)).await;
    assert!(hand.poll(0).await.is_none());
    hand.app.pass(Duration::from_secs(1)).await;
    let second = hand.leased().await;
    assert_eq!((&second.run, second.attempts), (&run, 0), "a sleep is no attempt");

    sleep(&hand, &second, 3_600).await;
    let signal = v1::SignalRunRequest {
        tenant: "default".into(),
        run: run.clone(),
        name: "go".into(),
        ..v1::SignalRunRequest::default()
    };
    hand.app.client.runs().signal_run(signal).await.unwrap();
    let third = hand.leased().await;
    assert_eq!((&third.run, third.inbox), (&run, 1));

    sleep(&hand, &third, 3_600).await;
    let cancel =
        v1::CancelRunRequest { tenant: "default".into(), run: run.clone(), steering: None };
    hand.app.client.runs().cancel_run(cancel).await.unwrap();
    hand.app.pass(Duration::from_hours(2)).await;
    assert!(hand.poll(50).await.is_none(), "nothing of it is left in the queue");
    assert_eq!(hand.app.run(&run).await.state(), v1::RunState::Cancelled);
}

#[tokio::test]
async fn a_worker_that_leaves_is_answered_at_once() {
    let hand = Hand::start().await;
    let leave = async {
        // Not before the poll is held.
        while hand.app.service.held_polls() == 0 {
            tokio::task::yield_now().await;
        }
        let request = v1::LeaveRequest { worker: hand.worker.clone() };
        hand.app.client.workers().leave(request).await.unwrap();
    };
    let (polled, ()) = tokio::join!(hand.poll(50_000), leave);
    assert!(polled.is_none());
}
