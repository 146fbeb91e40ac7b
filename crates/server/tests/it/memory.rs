//! Two replicas over one store: what one of them remembers of a run that the other has changed is
//! never the last word.

use std::time::Duration;

use insta::assert_snapshot;
use tenure_sdk::v1;
use tenure_testkit::app::{App, quick};

use crate::{Hand, append, end, said, succeed, suspend};

/// A worker at one replica, and another replica.
struct Pair {
    here: Hand,
    there: Hand,
}

impl Pair {
    async fn start() -> Self {
        let here = Hand::start().await;
        let app = App::over(here.app.store.clone(), quick()).await;
        let there = Hand { app, worker: "wkr_01h455vb4pex5vsknk084sn02r".into() };
        Self { here, there }
    }

    /// A run that is leased here, and remembered.
    async fn leased(&self) -> v1::LeasedRun {
        self.here.create(|_| ()).await;
        let leased = self.here.leased().await;
        self.here.commit(append(&leased, 1, &["a"])).await.unwrap();
        leased
    }
}

impl Hand {
    async fn signal(&self, run: &str) {
        let request = v1::SignalRunRequest {
            tenant: "default".into(),
            run: run.into(),
            name: "go".into(),
            ..v1::SignalRunRequest::default()
        };
        self.app.client.runs().signal_run(request).await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_sees_what_was_asked_for_at_another_replica() {
    let pair = Pair::start().await;
    let leased = pair.leased().await;
    pair.there.cancel(&leased.run).await;
    pair.there.signal(&leased.run).await;
    let answer = pair.here.commit(append(&leased, 2, &["b"])).await.unwrap();
    assert!(answer.cancel_requested, "{answer:?}");
    assert_eq!((answer.next_seq, answer.inbox), (3, 1));
    // It was going to rest, and ends instead.
    pair.here.commit(end(&leased, 3, suspend(1, &[]))).await.unwrap();
    assert_eq!(pair.there.app.run(&leased.run).await.state(), v1::RunState::Cancelled);
    let late = pair.here.commit(append(&leased, 3, &["c"])).await.unwrap_err();
    let late = said(&late).replace(&leased.run, "run_…");
    assert_snapshot!(late, @"Aborted: run_… is cancelled and no longer leased; drop it");
}

/// NO-LOST-WAKE: decided on what is remembered, it would park and sleep through the signal.
#[tokio::test]
async fn a_run_does_not_park_beside_a_signal_from_another_replica() {
    let pair = Pair::start().await;
    let leased = pair.leased().await;
    pair.there.signal(&leased.run).await;
    let refused = pair.here.commit(end(&leased, 2, suspend(0, &[]))).await.unwrap_err();
    let refused = said(&refused).replace(&leased.run, "run_…");
    assert_snapshot!(refused, @"FailedPrecondition: run_… has 1 inbox entries and the worker has seen 0; read them before suspending");
    pair.here.commit(end(&leased, 2, suspend(1, &[]))).await.unwrap();
}

/// ONE-WRITER, whatever the replica of the one who was replaced remembers.
#[tokio::test]
async fn who_was_replaced_at_another_replica_writes_nothing_more() {
    let pair = Pair::start().await;
    let first = pair.leased().await;
    pair.here.app.pass(Duration::from_secs(31)).await;
    let second = pair.there.leased().await;
    assert_eq!((&second.run, second.next_seq), (&first.run, 2));
    for request in [append(&first, 2, &["b"]), end(&first, 2, succeed())] {
        let late = pair.here.commit(request).await.unwrap_err();
        assert_eq!(late.code(), tonic::Code::Aborted, "{late:?}");
    }
    pair.there.commit(append(&second, 2, &["b"])).await.unwrap();
    // What the new owner did is not what this replica has seen last.
    let again = pair.here.commit(append(&second, 2, &["other"])).await.unwrap_err();
    assert_eq!(again.code(), tonic::Code::AlreadyExists, "{again:?}");
    pair.here.commit(append(&second, 3, &["c"])).await.unwrap();
    pair.there.commit(end(&second, 4, succeed())).await.unwrap();
    assert_eq!(pair.here.app.keys(&first.run).await, ["a", "b", "c"]);
    let epochs: Vec<u64> =
        pair.here.app.journal(&first.run).await.iter().map(|entry| entry.epoch).collect();
    assert_eq!(epochs, [first.epoch, second.epoch, second.epoch]);
}

/// A worker whose connection leads to one replica, then to the other.
#[tokio::test]
async fn commits_of_one_lease_may_arrive_anywhere() {
    let pair = Pair::start().await;
    let leased = pair.leased().await;
    let mut last = append(&leased, 1, &["a"]);
    for seq in 2..12 {
        let (one, other) = match seq % 3 {
            0 => (&pair.here, &pair.there),
            _ => (&pair.there, &pair.here),
        };
        let again = other.commit(last).await.unwrap();
        assert_eq!(again.next_seq, seq, "the same again, elsewhere");
        last = append(&leased, seq, &[&format!("s{seq}")]);
        assert_eq!(one.commit(last.clone()).await.unwrap().next_seq, seq + 1);
        assert!(other.beat(&leased).await.is_empty());
    }
    assert_eq!(pair.here.app.keys(&leased.run).await.len(), 11);
}

/// That there is nothing to do is decided on the run as it is.
#[tokio::test]
async fn a_pause_that_was_taken_back_elsewhere_can_be_asked_for_again() {
    let pair = Pair::start().await;
    let leased = pair.leased().await;
    for _ in 0..2 {
        assert!(pair.here.pause(&leased.run).await.unwrap().pause_requested);
        assert!(!pair.there.resume(&leased.run).await.unwrap().pause_requested);
    }
    assert!(pair.here.pause(&leased.run).await.unwrap().pause_requested);
    assert!(pair.here.commit(append(&leased, 2, &["b"])).await.unwrap().pause_requested);
}
