//! Concurrency keys: of the runs with one key, one at a time goes on.

use insta::assert_snapshot;
use tenure_sdk::v1;
use v1::ConcurrencyPolicy as Policy;

use crate::{Hand, end, fail, said, succeed};

impl Hand {
    async fn in_session(&self, key: &str, policy: Policy) -> Result<v1::Run, tonic::Status> {
        let concurrency = v1::Concurrency { key: key.into(), policy: policy.into() };
        self.try_create(|request| request.concurrency = Some(concurrency)).await
    }

    async fn settled(&self) {
        while self.app.service.deliver().await.unwrap() > 0 {}
    }
}

#[tokio::test]
async fn the_next_run_of_a_key_waits_for_its_turn() {
    let hand = Hand::start().await;
    let first = hand.in_session("s1", Policy::Queue).await.unwrap();
    let second = hand.in_session("s1", Policy::Queue).await.unwrap();
    let third = hand.in_session("s1", Policy::Unspecified).await.unwrap();
    let other = hand.in_session("s2", Policy::Queue).await.unwrap();
    assert_eq!(second.wait_reason(), v1::WaitReason::Turn);
    let (one, two) = (hand.leased().await, hand.leased().await);
    assert_eq!([&one.run, &two.run], [&first.id, &other.id]);
    assert!(hand.poll(0).await.is_none());
    // Parked, it still has its turn: the session's work is not done.
    hand.suspend(&one, 1, &["signal:go"]).await;
    assert!(hand.poll(0).await.is_none());
    let signal = v1::SignalRunRequest {
        tenant: "default".into(),
        run: first.id.clone(),
        name: "go".into(),
        ..v1::SignalRunRequest::default()
    };
    hand.app.client.runs().signal_run(signal).await.unwrap();
    let one = hand.leased().await;
    hand.commit(end(&one, 1, succeed())).await.unwrap();
    for expected in [&second.id, &third.id] {
        let next = hand.leased().await;
        assert_eq!(&next.run, expected, "in the order of creation");
        hand.commit(end(&next, 1, fail("broken", false))).await.unwrap();
    }
    hand.settled().await;
    let free = hand.in_session("s1", Policy::Reject).await.unwrap();
    assert_eq!(free.state(), v1::RunState::Queued, "nobody has the turn any more");
}

#[tokio::test]
async fn a_run_may_ask_to_be_refused_instead() {
    let hand = Hand::start().await;
    let first = hand.in_session("s1", Policy::Reject).await.unwrap();
    let refused = hand.in_session("s1", Policy::Reject).await.unwrap_err();
    assert_snapshot!(said(&refused).replace(&first.id, "run_…"), @"FailedPrecondition: run_… has the turn of concurrency key `s1`, and the run is not to wait");
    let empty = hand.in_session("", Policy::Queue).await.unwrap_err();
    assert_snapshot!(said(&empty), @"InvalidArgument: concurrency.key is empty: leave out concurrency instead");
}

#[tokio::test]
async fn a_run_may_replace_those_before_it() {
    let hand = Hand::start().await;
    let first = hand.in_session("s1", Policy::Queue).await.unwrap();
    let leased = hand.leased().await;
    let second = hand.in_session("s1", Policy::Queue).await.unwrap();
    let third = hand.in_session("s1", Policy::Replace).await.unwrap();
    let gone = hand.app.ended(&second.id).await;
    assert_eq!(gone.state(), v1::RunState::Cancelled);
    assert!(gone.steering.unwrap().reason.contains(&third.id));
    hand.app.until(&first.id, |run| run.cancel_requested).await;
    assert!(hand.poll(0).await.is_none(), "the first may still clean up");
    hand.commit(end(&leased, 1, v1::outcome::Outcome::Cancelled(v1::Cancelled {}))).await.unwrap();
    assert_eq!(hand.leased().await.run, third.id);
}

#[tokio::test]
async fn who_waits_for_a_turn_can_be_cancelled_and_is_passed_over() {
    let hand = Hand::start().await;
    let first = hand.in_session("s1", Policy::Queue).await.unwrap();
    let second = hand.in_session("s1", Policy::Queue).await.unwrap();
    let third = hand.in_session("s1", Policy::Queue).await.unwrap();
    let cancel = v1::CancelRunRequest { tenant: "default".into(), run: second.id, steering: None };
    hand.app.client.runs().cancel_run(cancel).await.unwrap();
    let leased = hand.leased().await;
    assert_eq!(leased.run, first.id);
    hand.commit(end(&leased, 1, succeed())).await.unwrap();
    assert_eq!(hand.leased().await.run, third.id);
}

#[tokio::test]
async fn of_many_created_at_once_one_has_the_turn() {
    let hand = Hand::start().await;
    let created = futures::future::join_all((0..50).map(|_| hand.in_session("s1", Policy::Queue)));
    let created: Vec<v1::Run> = created.await.into_iter().map(Result::unwrap).collect();
    let queued = created.iter().filter(|run| run.state() == v1::RunState::Queued).count();
    assert_eq!(queued, 1);
    for _ in 0..50 {
        let leased = hand.leased().await;
        assert!(hand.poll(0).await.is_none(), "never two");
        hand.commit(end(&leased, 1, succeed())).await.unwrap();
    }
    for run in created {
        assert_eq!(hand.app.ended(&run.id).await.state(), v1::RunState::Succeeded);
    }
}

#[tokio::test]
async fn a_run_that_was_refused_its_turn_leaves_its_key_free() {
    let hand = Hand::start().await;
    let first = hand.in_session("s1", Policy::Queue).await.unwrap();
    let refused = |request: &mut v1::CreateRunRequest| {
        let policy = Policy::Reject.into();
        request.concurrency = Some(v1::Concurrency { key: "s1".into(), policy });
        request.idempotency_key = "mine".into();
    };
    // Beside others that are created: what they commit must not keep the key.
    let others = (0..20).map(|_| hand.try_create(|_| ()));
    let (others, again) = tokio::join!(futures::future::join_all(others), hand.try_create(refused));
    assert!(others.iter().all(Result::is_ok));
    assert_eq!(again.unwrap_err().code(), tonic::Code::FailedPrecondition);
    let cancel = v1::CancelRunRequest { tenant: "default".into(), run: first.id, steering: None };
    hand.app.client.runs().cancel_run(cancel).await.unwrap();
    hand.settled().await;
    while hand.try_create(refused).await.is_err() {
        hand.settled().await;
    }
}
