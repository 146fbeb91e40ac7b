//! Calls that wait for the end of a run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tenure_sdk::v1;
use tenure_server::Settings;
use tenure_server::carrier::{Carrier, Ear, Heard, Lost};
use tenure_store::Hint;
use tenure_testkit::app::App;
use tokio::join;
use tokio::sync::broadcast;
use tokio::time::timeout;

use crate::{Hand, append, end, json, succeed};

/// Less than the longest pause of somebody who has to look by himself.
const PROMPTLY: Duration = Duration::from_secs(4);
const WAIT: Duration = Duration::from_secs(40);

/// Carries hints between the replicas of one test.
struct Hub(broadcast::Sender<Hint>);

#[async_trait]
impl Carrier for Hub {
    async fn announce(&self, hints: &[Hint]) -> Result<(), Lost> {
        for hint in hints {
            // Nobody may be listening yet.
            let _ = self.0.send(hint.clone());
        }
        Ok(())
    }

    async fn listen(&self, ear: Ear) {
        let mut hints = self.0.subscribe();
        while let Ok(hint) = hints.recv().await {
            ear(Heard::Hint(hint));
        }
    }
}

/// Two replicas that hear each other, and have no other way to learn anything.
async fn pair() -> (Hand, Hand) {
    let settings = Settings { tick: Duration::from_hours(1), ..Settings::default() };
    let store = tenure_store::open("sqlite::memory:").await.unwrap();
    let hub = Arc::new(Hub(broadcast::channel(1_000).0));
    let mut hands = Vec::new();
    for worker in ["wkr_01h455vb4pex5vsknk084sn02q", "wkr_01h455vb4pex5vsknk084sn02r"] {
        let app = App::carried(store.clone(), settings.clone(), hub.clone()).await;
        hands.push(Hand { app, worker: worker.into() });
    }
    hands[0].app.publish("hello").await;
    let there = hands.remove(1);
    (hands.remove(0), there)
}

impl Hand {
    /// The run when it has ended.
    async fn wait_for(&self, run: &str, wait: Duration) -> v1::Run {
        let request = v1::GetRunRequest {
            tenant: "default".into(),
            run: run.into(),
            wait: Some(wait.into()),
        };
        self.app.client.runs().get_run(request).await.unwrap().into_inner()
    }

    async fn work(&self) {
        let leased = self.leased().await;
        self.commit(append(&leased, 1, &["a"])).await.unwrap();
        self.commit(end(&leased, 2, succeed())).await.unwrap();
    }
}

fn waiting(wait: Duration) -> impl Fn(&mut v1::CreateRunRequest) {
    move |request| {
        request.input = Some(json("\"x\""));
        request.labels = [("team".into(), "red".into())].into();
        request.wait = Some(wait.into());
    }
}

fn assert_done(run: &v1::Run) {
    assert_eq!(run.state(), v1::RunState::Succeeded, "{run:?}");
    assert_eq!(run.output.as_ref().unwrap().data, "42");
    assert_eq!((&*run.agent, run.ended_at.is_some()), ("hello", true));
}

#[tokio::test]
async fn a_creation_can_wait_for_the_end() {
    let hand = Hand::start().await;
    let (done, ()) = join!(timeout(PROMPTLY, hand.try_create(waiting(WAIT))), hand.work());
    let done = done.unwrap().unwrap();
    assert_done(&done);
    assert_eq!((done.input.unwrap().data, &*done.labels["team"]), ("\"x\"".into(), "red"));
    assert_done(&hand.wait_for(&done.id, WAIT).await);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_answered_as_it_is() {
    let hand = Hand::start().await;
    let short = Duration::from_millis(30);
    let queued = hand.try_create(waiting(short)).await.unwrap();
    assert_eq!(queued.state(), v1::RunState::Queued);
    let leased = hand.leased().await;
    hand.commit(append(&leased, 1, &["a", "b"])).await.unwrap();
    let running = hand.wait_for(&queued.id, short).await;
    assert_eq!((running.state(), running.entries), (v1::RunState::Running, 2));
}

#[tokio::test]
async fn the_same_request_with_another_wait_is_the_same_request() {
    let hand = Hand::start().await;
    let ask = |wait| {
        hand.try_create(move |request| {
            waiting(wait)(request);
            request.idempotency_key = "k".into();
        })
    };
    let queued = ask(Duration::ZERO).await.unwrap();
    assert_eq!(queued.state(), v1::RunState::Queued);
    let (done, ()) = join!(ask(WAIT), hand.work());
    let done = done.unwrap();
    assert_done(&done);
    assert_eq!(done.id, queued.id);
    assert_done(&ask(Duration::from_secs(1)).await.unwrap());
}

#[tokio::test]
async fn the_end_at_another_replica_is_heard() {
    let (here, there) = pair().await;
    let (done, ()) = join!(timeout(PROMPTLY, here.try_create(waiting(WAIT))), there.work());
    assert_done(&done.unwrap().unwrap());
}

/// This replica has seen the run when somebody signalled it here; its owner is elsewhere.
#[tokio::test]
async fn a_run_that_was_steered_here_may_end_elsewhere() {
    let (here, there) = pair().await;
    let run = here.create(|_| ()).await;
    let leased = there.leased().await;
    there.commit(append(&leased, 1, &["a"])).await.unwrap();
    here.cancel(&run).await;
    let cancelled = v1::outcome::Outcome::Cancelled(v1::Cancelled {});
    let (ended, answer) = join!(
        timeout(PROMPTLY, here.wait_for(&run, WAIT)),
        there.commit(end(&leased, 2, cancelled))
    );
    answer.unwrap();
    assert_eq!(ended.unwrap().state(), v1::RunState::Cancelled);
}
