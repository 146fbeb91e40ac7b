//! What people do to runs: pause, resume, retry, patch, prioritize; each is on record.

use std::time::Duration;

use insta::assert_snapshot;
use tenure_sdk::v1;
use tenure_server::Settings;
use tenure_testkit::app::quick;

use crate::{Hand, append, block, end, fail, json, said, steering, succeed, suspend};

impl Hand {
    pub(crate) async fn pause(&self, run: &str) -> Result<v1::Run, tonic::Status> {
        let request = v1::PauseRunRequest {
            tenant: "default".into(),
            run: run.into(),
            steering: Some(steering("ann", "lunch")),
        };
        Ok(self.app.client.runs().pause_run(request).await?.into_inner())
    }

    pub(crate) async fn resume(&self, run: &str) -> Result<v1::Run, tonic::Status> {
        let request = v1::ResumeRunRequest {
            tenant: "default".into(),
            run: run.into(),
            steering: Some(steering("ann", "back")),
        };
        Ok(self.app.client.runs().resume_run(request).await?.into_inner())
    }

    async fn retry(&self, run: &str) -> Result<v1::Run, tonic::Status> {
        let request = v1::RetryRunRequest {
            tenant: "default".into(),
            run: run.into(),
            steering: Some(steering("ann", "deployed")),
        };
        Ok(self.app.client.runs().retry_run(request).await?.into_inner())
    }

    async fn patch(&self, run: &str, key: &str, json_text: &str) -> Result<v1::Run, tonic::Status> {
        let request = v1::PatchRunRequest {
            tenant: "default".into(),
            run: run.into(),
            key: key.into(),
            result: Some(v1::patch_run_request::Result::Payload(json(json_text))),
            steering: Some(steering("ann", "by hand")),
        };
        Ok(self.app.client.runs().patch_run(request).await?.into_inner())
    }

    /// The journal, a line each: what it says about people.
    async fn record_of(&self, run: &str) -> Vec<String> {
        let line = |entry: v1::Entry| {
            let record = entry.record.unwrap();
            let by = match record.status {
                Some(v1::record::Status::Steered(by)) => format!(" {}: {}", by.actor, by.reason),
                _ => String::new(),
            };
            format!("{}{by}", record.key)
        };
        self.app.journal(run).await.into_iter().map(line).collect()
    }
}

#[tokio::test]
async fn a_queued_run_is_paused_at_once_and_resumed() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    let paused = hand.pause(&run).await.unwrap();
    assert_eq!(
        (paused.state(), paused.wait_reason()),
        (v1::RunState::Waiting, v1::WaitReason::Paused)
    );
    assert_eq!(paused.steering.unwrap().reason, "lunch");
    assert_eq!(hand.pause(&run).await.unwrap().entries, 1, "again, it changes nothing");
    assert!(hand.poll(0).await.is_none());
    hand.resume(&run).await.unwrap();
    assert_eq!(hand.leased().await.run, run);
    assert_eq!(
        hand.record_of(&run).await,
        ["tenure:pause#1 ann: lunch", "tenure:resume#2 ann: back"]
    );
    let running = said(&hand.resume(&run).await.unwrap_err()).replace(&run, "run_…");
    assert_snapshot!(running, @"FailedPrecondition: run_… is running and not paused");
}

#[tokio::test]
async fn a_running_run_is_paused_when_its_worker_gives_it_back() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    hand.commit(append(&leased, 1, &["plan"])).await.unwrap();
    assert!(hand.pause(&run).await.unwrap().pause_requested);
    assert!(hand.beat(&leased).await[0].pause_requested);
    let kept = hand.commit(append(&leased, 2, &["act"])).await.unwrap();
    assert!(kept.pause_requested, "what was under way is recorded");
    hand.commit(end(&leased, 3, v1::outcome::Outcome::Release(v1::Release {}))).await.unwrap();
    let paused = hand.app.run(&run).await;
    assert_eq!((paused.wait_reason(), paused.attempts), (v1::WaitReason::Paused, 0));
    assert_eq!(hand.record_of(&run).await, ["plan", "act", "tenure:pause#3 ann: lunch"]);
}

#[tokio::test]
async fn a_pause_can_be_taken_back_and_a_lost_worker_counts_as_an_answer() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    hand.beat(&leased).await;
    hand.pause(&run).await.unwrap();
    assert!(!hand.resume(&run).await.unwrap().pause_requested);
    assert!(hand.beat(&leased).await.is_empty());
    hand.pause(&run).await.unwrap();
    hand.app.pass(Duration::from_secs(31)).await;
    hand.app.until(&run, |run| run.wait_reason() == v1::WaitReason::Paused).await;
}

#[tokio::test]
async fn what_arrives_for_a_paused_run_waits_with_it() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    hand.suspend(&leased, 1, &["signal:go"]).await;
    hand.pause(&run).await.unwrap();
    let signal = v1::SignalRunRequest {
        tenant: "default".into(),
        run: run.clone(),
        name: "go".into(),
        ..v1::SignalRunRequest::default()
    };
    hand.app.client.runs().signal_run(signal).await.unwrap();
    assert_eq!(hand.app.run(&run).await.wait_reason(), v1::WaitReason::Paused);
    hand.resume(&run).await.unwrap();
    assert_eq!(hand.leased().await.inbox, 1);
}

#[tokio::test]
async fn a_blocked_run_goes_on_with_the_result_that_somebody_gives() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    let early = said(&hand.patch(&run, "plan", "1").await.unwrap_err()).replace(&run, "run_…");
    assert_snapshot!(early, @"FailedPrecondition: run_… is running and only a blocked run can be patched");
    hand.commit(append(&leased, 1, &["plan"])).await.unwrap();
    hand.commit(end(&leased, 2, block())).await.unwrap();
    hand.patch(&run, "plan", "\"mended\"").await.unwrap();
    let again = hand.leased().await;
    assert_eq!(hand.record_of(&run).await, ["plan", "tenure:patch#2 ann: by hand", "plan"]);
    assert_eq!(again.next_seq, 4);
    let last = hand.app.journal(&run).await.pop().unwrap().record.unwrap();
    assert_eq!(last.kind(), v1::EntryKind::Steering);
    let refused = hand.patch(&run, "tenure:cancel#1", "1").await.unwrap_err();
    assert_snapshot!(said(&refused), @"InvalidArgument: `tenure:cancel#1` is not the key of a step");
}

#[tokio::test]
async fn a_blocked_run_is_tried_again_and_a_cancel_says_who() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    hand.commit(end(&leased, 1, block())).await.unwrap();
    hand.retry(&run).await.unwrap();
    let leased = hand.leased().await;
    let cancel = v1::CancelRunRequest {
        tenant: "default".into(),
        run: run.clone(),
        steering: Some(steering("bob", "not needed")),
    };
    let asked = hand.app.client.runs().cancel_run(cancel).await.unwrap().into_inner();
    assert!(asked.cancel_requested);
    assert!(hand.beat(&leased).await[0].cancel_requested);
    let cancelled = v1::outcome::Outcome::Cancelled(v1::Cancelled {});
    hand.commit(end(&leased, 2, cancelled)).await.unwrap();
    let ended = hand.app.ended(&run).await;
    assert_eq!(ended.steering, Some(steering("bob", "not needed")));
    assert_eq!(
        hand.record_of(&run).await,
        ["tenure:retry#1 ann: deployed", "tenure:cancel#2 bob: not needed"]
    );
}

#[tokio::test]
async fn a_worker_cannot_write_what_people_do() {
    let hand = Hand::start().await;
    hand.create(|_| ()).await;
    let leased = hand.leased().await;
    let refused = hand.commit(append(&leased, 1, &["tenure:cancel#1"])).await.unwrap_err();
    assert_snapshot!(said(&refused), @"InvalidArgument: entry `tenure:cancel#1` is not a worker's to write");
}

#[tokio::test]
async fn a_failure_that_may_mend_is_tried_again_as_the_policy_says() {
    let hand = Hand::start().await;
    let run = hand
        .create(|request| {
            request.retry = Some(v1::RetryPolicy {
                limit: 2,
                backoff: Some(Duration::from_mins(1).into()),
                max_backoff: Some(Duration::from_hours(1).into()),
            });
        })
        .await;
    for (number, pause) in [(0, 60), (1, 120)] {
        let leased = hand.leased().await;
        let mut request = append(&leased, leased.next_seq, &[]);
        let mut failed = crate::record("fetch", "");
        let why =
            v1::Failure { code: "http_503".into(), message: "it is down".into(), retryable: true };
        failed.status = Some(v1::record::Status::Failed(why.clone()));
        request.records = vec![failed];
        let outcome =
            v1::Fail { failure: Some(why), retry_after: None, again: vec!["fetch".into()] };
        request.outcome = Some(v1::Outcome { outcome: Some(v1::outcome::Outcome::Fail(outcome)) });
        hand.commit(request).await.unwrap();
        let queued = hand.app.run(&run).await;
        assert_eq!((queued.state(), queued.retried), (v1::RunState::Queued, number + 1));
        assert!(hand.poll(0).await.is_none(), "it backs off");
        hand.app.pass(Duration::from_secs(pause)).await;
    }
    assert_eq!(hand.app.keys(&run).await, ["fetch", "fetch", "fetch", "fetch"]);
    let leased = hand.leased().await;
    hand.commit(end(&leased, 5, fail("http_503", true))).await.unwrap();
    assert_eq!(hand.app.ended(&run).await.state(), v1::RunState::Failed, "twice is enough");
}

#[tokio::test]
async fn a_failure_that_will_not_mend_ends_the_run_whatever_the_policy() {
    let hand = Hand::start().await;
    let policy = v1::RetryPolicy { limit: 5, ..v1::RetryPolicy::default() };
    let run = hand.create(|request| request.retry = Some(policy)).await;
    let leased = hand.leased().await;
    hand.commit(end(&leased, 1, fail("http_404", false))).await.unwrap();
    assert_eq!(hand.app.ended(&run).await.state(), v1::RunState::Failed);
}

#[tokio::test]
async fn a_run_that_takes_too_long_fails_wherever_it_is() {
    // Leases that outlast the runs: it is not for them that the runs end.
    let hour = Duration::from_hours(1);
    let hand = Hand::with(Settings { lease_ttl: hour, offer_ttl: hour, ..quick() }).await;
    let timeout = |request: &mut v1::CreateRunRequest| {
        request.timeout = Some(Duration::from_mins(10).into());
    };
    let running = hand.create(timeout).await;
    let leased = hand.leased().await;
    hand.beat(&leased).await;
    let parked = hand.create(timeout).await;
    let parking = hand.leased().await;
    hand.suspend(&parking, 1, &["signal:go"]).await;
    let queued = hand.create(timeout).await;
    hand.app.pass(Duration::from_secs(599)).await;
    assert_eq!(hand.app.run(&running).await.state(), v1::RunState::Running);
    hand.app.pass(Duration::from_secs(2)).await;
    for run in [&running, &parked, &queued] {
        let failure = hand.app.ended(run).await.failure.unwrap();
        assert_eq!(failure.code, "deadline", "{}", failure.message);
    }
    assert!(hand.beat(&leased).await[0].lost);
    let late = hand.commit(end(&leased, 1, succeed())).await.unwrap_err();
    assert_eq!(late.code(), tonic::Code::Aborted);
}

#[tokio::test]
async fn what_wants_to_rest_while_a_cancel_is_asked_is_cancelled() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    hand.pause(&run).await.unwrap();
    let cancel =
        v1::CancelRunRequest { tenant: "default".into(), run: run.clone(), steering: None };
    hand.app.client.runs().cancel_run(cancel).await.unwrap();
    hand.commit(end(&leased, 1, suspend(0, &[]))).await.unwrap();
    assert_eq!(
        hand.app.ended(&run).await.state(),
        v1::RunState::Cancelled,
        "a cancel beats a pause"
    );
}
