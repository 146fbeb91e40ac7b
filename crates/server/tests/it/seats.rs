//! A new run is leased to a poll that is held in the statement that creates it, unless something else
//! is ready for that poll or the run is one that has to be counted, or has to wait.

use std::cell::Cell;
use std::time::Duration;

use futures::future::join_all;
use tenure_core::Payload;
use tenure_core::run::RetryPolicy;
use tenure_sdk::v1;
use tenure_server::Settings;
use tenure_server::service::{CreateRun, Poll, Polled};
use tenure_testkit::app::App;
use tokio::join;

use crate::{Hand, end, succeed};

/// Nobody looks again within the life of a test: what was seen stays seen, and only hints wake.
fn patient() -> Settings {
    Settings { tick: Duration::from_hours(1), ..Settings::default() }
}

const QUEUED: v1::RunState = v1::RunState::Queued;
const RUNNING: v1::RunState = v1::RunState::Running;

impl Hand {
    /// Somebody who has been seen before: what is known of runs and agents is known here.
    async fn seated() -> Self {
        let hand = Self::with(patient()).await;
        hand.warm().await;
        hand
    }

    /// Until a run is leased at once: what was known may be old.
    async fn warm(&self) {
        for _ in 0..3 {
            let (created, leased) = self.meet(|_| ()).await;
            self.commit(end(&leased, 1, succeed())).await.unwrap();
            if created.state() == RUNNING {
                return;
            }
        }
        panic!("no run was leased at once");
    }

    /// Returns when a poll is held and it has been seen that nothing is ready for it.
    async fn held(&self) {
        while self.app.service.idle_polls() == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Creates a run while a poll is held, or after it got what was ready: the answer, and what the
    /// poll got.
    async fn meet(&self, with: impl FnOnce(&mut v1::CreateRunRequest)) -> (v1::Run, v1::LeasedRun) {
        let answered = Cell::new(false);
        let poll = async {
            let leased = self.leased().await;
            answered.set(true);
            leased
        };
        let create = async {
            // A poll that finds a run is never seen to be idle.
            while self.app.service.idle_polls() == 0 && !answered.get() {
                tokio::task::yield_now().await;
            }
            self.try_create(with).await.unwrap()
        };
        let (leased, created) = join!(poll, create);
        (created, leased)
    }

    fn polling(&self, capacity: usize) -> Poll {
        Poll {
            tenants: ["default".parse().unwrap()].into(),
            worker: self.worker.parse().unwrap(),
            pools: ["hello".parse().unwrap()].into(),
            capacity,
            wait: Duration::from_secs(20),
        }
    }
}

fn hello(input: &str) -> CreateRun {
    CreateRun {
        tenant: "default".parse().unwrap(),
        agent: "hello".parse().unwrap(),
        version: String::new(),
        input: Payload::json(input.to_owned()),
        labels: std::collections::BTreeMap::new(),
        start_after: Duration::ZERO,
        idempotency: None,
        max_attempts: None,
        retry: RetryPolicy::default(),
        priority: 0,
        timeout: None,
        concurrency: None,
        budget: tenure_core::Budget::default(),
    }
}

fn runs(polled: Polled) -> Vec<String> {
    let Polled::Runs(runs) = polled else { panic!("{polled:?}") };
    runs.iter().map(|leased| leased.run.id.to_string()).collect()
}

#[tokio::test]
async fn a_new_run_is_leased_to_who_waits() {
    let hand = Hand::seated().await;
    let (created, leased) = hand.meet(|request| request.input = Some(crate::json("\"x\""))).await;
    assert_eq!((&created.id, created.state()), (&leased.run, RUNNING));
    assert_eq!(leased.input.as_ref().unwrap().data, "\"x\"");
    assert_eq!((leased.epoch, leased.attempts, leased.next_seq), (1, 0, 1));
    hand.commit(end(&leased, 1, succeed())).await.unwrap();
    assert_eq!(hand.app.run(&created.id).await.state(), v1::RunState::Succeeded);
    assert!(hand.poll(0).await.is_none(), "it was in no queue");
}

/// What asked before gets the same run, whether it was leased at once or not.
#[tokio::test]
async fn the_same_request_again_is_the_run_that_was_leased() {
    let hand = Hand::seated().await;
    let (created, leased) = hand.meet(|request| request.idempotency_key = "k".into()).await;
    let again = hand.create(|request| request.idempotency_key = "k".into()).await;
    assert_eq!((created.state(), &again), (RUNNING, &leased.run));
}

#[tokio::test]
async fn what_is_ready_already_comes_first() {
    let hand = Hand::seated().await;
    let older = [hand.create(|_| ()).await, hand.create(|_| ()).await];
    assert_eq!(hand.leased().await.run, older[0]);
    let (created, leased) = hand.meet(|_| ()).await;
    assert_eq!((created.state(), &leased.run), (QUEUED, &older[1]));
    assert_eq!(hand.leased().await.run, created.id);
}

#[tokio::test]
async fn what_has_to_be_counted_or_to_take_turns_is_queued() {
    let hand = Hand::seated().await;
    let (queued, leased) = hand
        .meet(|request| {
            request.concurrency = Some(v1::Concurrency { key: "k".into(), policy: 0 });
        })
        .await;
    assert_eq!((queued.state(), &queued.id), (QUEUED, &leased.run));
    for agent in [true, false] {
        hand.warm().await;
        let cap = async |max_running| {
            if agent {
                drop(hand.cap_agent(max_running).await.unwrap());
            } else {
                drop(hand.cap_tenant(max_running).await.unwrap());
            }
        };
        cap(Some(9)).await;
        let (queued, leased) = hand.meet(|_| ()).await;
        assert_eq!((queued.state(), &queued.id), (QUEUED, &leased.run));
        cap(None).await;
    }
    hand.warm().await;
}

#[tokio::test]
async fn what_starts_later_is_queued() {
    let hand = Hand::seated().await;
    let later = async {
        hand.held().await;
        let start_after = Some(Duration::from_mins(10).into());
        let later = hand.try_create(|request| request.start_after = start_after).await.unwrap();
        let leave = v1::LeaveRequest { worker: hand.worker.clone() };
        hand.app.client.workers().leave(leave).await.unwrap();
        later
    };
    let (polled, later) = join!(hand.poll(20_000), later);
    assert!(polled.is_none() && later.state() == QUEUED, "{later:?}");
}

/// Created together, around the wire: one batch of the ledger.
#[tokio::test]
async fn a_poll_gets_as_many_as_it_has_room_for() {
    let hand = Hand::seated().await;
    let service = &hand.app.service;
    let create = async {
        hand.held().await;
        let all = (0..5).map(|n| service.create_run(hello(&n.to_string()), Duration::ZERO));
        join_all(all).await.into_iter().map(Result::unwrap).collect::<Vec<_>>()
    };
    let (polled, created) = join!(service.poll(hand.polling(3)), create);
    let (seated, queued): (Vec<_>, Vec<_>) =
        created.into_iter().partition(|full| full.run.lease_held().is_some());
    let ids = |of: &[tenure_store::FullRun]| -> Vec<String> {
        of.iter().map(|full| full.run.id.to_string()).collect()
    };
    assert_eq!((seated.len(), queued.len()), (3, 2));
    assert_eq!(runs(polled.unwrap()), ids(&seated));
    assert_eq!(runs(service.poll(hand.polling(9)).await.unwrap()), ids(&queued));
}

#[tokio::test]
async fn a_poll_that_has_gone_gives_back_what_it_was_offered() {
    let hand = Hand::seated().await;
    let service = &hand.app.service;
    let mut poll = Box::pin(service.poll(hand.polling(1)));
    assert!(futures::poll!(&mut poll).is_pending());
    hand.held().await;
    let created = service.create_run(hello("1"), Duration::ZERO).await.unwrap().run;
    assert!(created.lease_held().is_some());
    // Offered, and gone before it has looked.
    drop(poll);
    let again = hand.leased().await;
    assert_eq!((again.run, again.attempts), (created.id.to_string(), 0));
    assert!(again.epoch > 1, "it was queued in between");
}

#[tokio::test]
async fn a_poll_that_has_gone_is_offered_nothing() {
    let hand = Hand::seated().await;
    let service = &hand.app.service;
    let mut poll = Box::pin(service.poll(hand.polling(1)));
    assert!(futures::poll!(&mut poll).is_pending());
    drop(poll);
    let created = service.create_run(hello("1"), Duration::ZERO).await.unwrap().run;
    assert!(created.lease_held().is_none(), "{created:?}");
    assert_eq!(hand.leased().await.epoch, 1);
}

/// The poll was taken out of line for a run that could not be saved as it was known.
#[tokio::test]
async fn a_version_from_another_replica_is_what_the_next_run_gets() {
    let hand = Hand::seated().await;
    let other = App::over(hand.app.store.clone(), patient()).await;
    for number in 2..4 {
        let document =
            format!("{{name: hello, kind: external, pool: hello, description: \"{number}\"}}");
        let publish = v1::PublishVersionRequest { tenant: "default".into(), document };
        other.client.agents().publish_version(publish).await.unwrap();
        let (created, leased) = hand.meet(|_| ()).await;
        assert_eq!((created.version, leased.version), (number, number));
        assert_eq!((created.state(), created.id), (RUNNING, leased.run));
    }
}

/// The cap was set where this replica did not see it.
#[tokio::test]
async fn a_cap_from_another_replica_counts_at_once() {
    // That there is room again is seen by who looks.
    let hand = Hand::start().await;
    hand.warm().await;
    let other = App::over(hand.app.store.clone(), patient()).await;
    let cap = v1::SetTenantCapRequest { tenant: "default".into(), max_running: Some(1) };
    other.client.tenants().set_tenant_cap(cap).await.unwrap();
    let (first, leased) = hand.meet(|_| ()).await;
    assert_eq!((first.state(), &first.id), (QUEUED, &leased.run));
    let second = hand.create(|_| ()).await;
    assert!(hand.poll(50).await.is_none(), "one at a time");
    hand.commit(end(&leased, 1, succeed())).await.unwrap();
    assert_eq!(hand.leased().await.run, second);
}
