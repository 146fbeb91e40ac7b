//! Why a run is where it is: a true sentence in each situation.

use std::time::Duration;

use insta::assert_snapshot;
use tenure_sdk::v1;
use v1::opening::Opening;

use crate::{Hand, append, block, end, fail, opened, steering, suspend};

impl Hand {
    /// The code and the sentence, with ids and times taken out.
    async fn why(&self, run: &str) -> String {
        let request = v1::ExplainRunRequest { tenant: "default".into(), run: run.into() };
        let why = self.app.client.runs().explain_run(request).await.unwrap().into_inner();
        format!("{}: {}", why.code, bare(&why.sentence))
    }

    async fn cap(&self, max_running: i32) {
        let request =
            v1::SetTenantCapRequest { tenant: "default".into(), max_running: Some(max_running) };
        self.app.client.tenants().set_tenant_cap(request).await.unwrap();
    }
}

/// The sentence without what is different each time.
fn bare(sentence: &str) -> String {
    let word = |word: &str| {
        let (body, end) = match word.char_indices().last() {
            Some((place, ';' | ',' | ':' | ')')) => word.split_at(place),
            _ => (word, ""),
        };
        let body = match body {
            id if id.len() == 30 && id.as_bytes()[3] == b'_' => format!("{}_…", &id[..3]),
            time if time.len() > 18 && time.as_bytes()[10] == b'T' => "TIME".into(),
            other => other.to_owned(),
        };
        format!("{body}{end}")
    };
    sentence.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn no_worker_asks_for_the_pool() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    assert_snapshot!(hand.why(&run).await, @"no_worker: no worker has ever asked for runs of pool `hello`");
    let leased = hand.leased().await;
    hand.commit(end(&leased, 1, v1::outcome::Outcome::Release(v1::Release {}))).await.unwrap();
    assert_snapshot!(hand.why(&run).await, @"next: it is next in pool `hello`, as soon as a worker has room");
    hand.app.pass(Duration::from_secs(31)).await;
    assert_snapshot!(hand.why(&run).await, @"no_worker: no worker asked for runs of pool `hello` in the last 30 s, since TIME");
}

#[tokio::test]
async fn a_cap_is_reached() {
    let hand = Hand::start().await;
    hand.cap(1).await;
    hand.create(|_| ()).await;
    let run = hand.create(|_| ()).await;
    hand.leased().await;
    assert_snapshot!(hand.why(&run).await, @"tenant_cap: its tenant is at its cap: 1 of 1 runs are leased");
    hand.cap(10).await;
    let cap = v1::SetAgentCapRequest {
        tenant: "default".into(),
        agent: "hello".into(),
        max_running: Some(1),
    };
    hand.app.client.agents().set_agent_cap(cap).await.unwrap();
    assert_snapshot!(hand.why(&run).await, @"agent_cap: agent `hello` is at its cap: 1 of 1 runs are leased");
}

#[tokio::test]
async fn others_are_ahead() {
    let hand = Hand::start().await;
    hand.create(|_| ()).await;
    hand.leased().await;
    for _ in 0..3 {
        hand.create(|_| ()).await;
    }
    let run = hand.create(|_| ()).await;
    assert_snapshot!(hand.why(&run).await, @"behind: 3 runs are ahead of it in pool `hello`");
    let first = hand.create(|request| request.priority = 1).await;
    assert_snapshot!(hand.why(&first).await, @"next: it is next in pool `hello`, as soon as a worker has room");
}

#[tokio::test]
async fn it_starts_later_or_backs_off() {
    let hand = Hand::start().await;
    let later =
        hand.create(|request| request.start_after = Some(Duration::from_hours(1).into())).await;
    assert_snapshot!(hand.why(&later).await, @"starts_later: it is to start at TIME, as was asked");
    let policy = v1::RetryPolicy {
        limit: 3,
        backoff: Some(Duration::from_mins(5).into()),
        max_backoff: None,
    };
    let run = hand.create(|request| request.retry = Some(policy)).await;
    let leased = hand.leased().await;
    hand.commit(end(&leased, 1, fail("http_503", true))).await.unwrap();
    assert_snapshot!(hand.why(&run).await, @"backs_off: it backs off until TIME: it has failed and is tried again (1)");
}

#[tokio::test]
async fn its_worker_was_lost() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    for _ in 0..2 {
        let leased = hand.leased().await;
        hand.beat(&leased).await;
        hand.app.pass(Duration::from_secs(31)).await;
        hand.app.until(&run, |run| run.state() == v1::RunState::Queued).await;
    }
    assert_snapshot!(hand.why(&run).await, @"backs_off: it backs off until TIME: its worker was lost 2 times in a row");
}

#[tokio::test]
async fn it_runs() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    assert_snapshot!(hand.why(&run).await, @"offered: it was just offered to worker wkr_…");
    hand.beat(&leased).await;
    assert_snapshot!(hand.why(&run).await, @"running: it is running on worker wkr_…");
    let pause = v1::PauseRunRequest {
        tenant: "default".into(),
        run: run.clone(),
        steering: Some(steering("ann", "lunch")),
    };
    hand.app.client.runs().pause_run(pause).await.unwrap();
    assert_snapshot!(hand.why(&run).await, @"pausing: its worker wkr_… was asked to pause it by ann: lunch");
    let cancel =
        v1::CancelRunRequest { tenant: "default".into(), run: run.clone(), steering: None };
    hand.app.client.runs().cancel_run(cancel).await.unwrap();
    assert_snapshot!(hand.why(&run).await, @"cancelling: its worker wkr_… was asked to stop; it is ended by force at TIME");
}

#[tokio::test]
async fn it_waits_for_people() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    let question = |title: &str| {
        Opening::Interrupt(v1::Question {
            kind: v1::QuestionKind::Approval.into(),
            title: title.into(),
            assignee: "role:lead".into(),
            timeout: Some(Duration::from_hours(1).into()),
            ..v1::Question::default()
        })
    };
    hand.ask(&leased, 1, "approve", question("send this mail?")).await;
    assert_snapshot!(hand.why(&run).await, @"interrupt: it waits for interrupt int_… (“send this mail?”) since TIME, of role:lead, until TIME");
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    let records = vec![
        opened("left/approve", question("left?")),
        opened("right/approve", question("right?")),
    ];
    hand.commit(v1::CommitRequest { records, ..end(&leased, 1, suspend(0, &[])) }).await.unwrap();
    let both = hand.why(&run).await;
    assert!(
        both.starts_with("interrupt: it waits for 2 interrupts, first for interrupt int_…"),
        "{both}"
    );
}

#[tokio::test]
async fn it_waits_for_a_time_a_signal_or_a_call() {
    let hand = Hand::start().await;
    let sleeping = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    let sleep = v1::Suspend {
        inbox: 0,
        wake_after: Some(Duration::from_hours(1).into()),
        on: vec!["sleep".into()],
    };
    hand.commit(end(&leased, 1, v1::outcome::Outcome::Suspend(sleep))).await.unwrap();
    assert_snapshot!(hand.why(&sleeping).await, @"sleeps: it sleeps until TIME");
    let waiting = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    hand.suspend(&leased, 1, &["turn/1/signal:approved"]).await;
    assert_snapshot!(hand.why(&waiting).await, @"signal: it waits for signal `approved`");
    let calling = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    hand.suspend(&leased, 1, &["child:research"]).await;
    assert_snapshot!(hand.why(&calling).await, @"child: it waits for runs that it called: `research`");
}

#[tokio::test]
async fn it_is_blocked_paused_or_waits_for_its_turn() {
    let hand = Hand::start().await;
    let concurrency = v1::Concurrency { key: "s1".into(), policy: 0 };
    let run = hand.create(|request| request.concurrency = Some(concurrency.clone())).await;
    let next = hand.create(|request| request.concurrency = Some(concurrency)).await;
    assert_snapshot!(hand.why(&next).await, @"turn: it waits for its turn: run_… has concurrency key `s1`");
    let leased = hand.leased().await;
    hand.commit(append(&leased, 1, &["plan"])).await.unwrap();
    hand.commit(end(&leased, 2, block())).await.unwrap();
    assert_snapshot!(hand.why(&run).await, @"blocked: it is blocked (mismatch): entry `plan` does not fit the code");
    let other = hand.create(|_| ()).await;
    let pause = v1::PauseRunRequest {
        tenant: "default".into(),
        run: other.clone(),
        steering: Some(steering("ann", "lunch")),
    };
    hand.app.client.runs().pause_run(pause).await.unwrap();
    assert_snapshot!(hand.why(&other).await, @"paused: it is paused by ann: lunch");
}

#[tokio::test]
async fn it_has_ended() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    hand.commit(end(&leased, 1, fail("http_404", false))).await.unwrap();
    assert_snapshot!(hand.why(&run).await, @"failed: it failed at TIME (http_404): it broke");
    let run = hand.create(|_| ()).await;
    let cancel = v1::CancelRunRequest {
        tenant: "default".into(),
        run: run.clone(),
        steering: Some(steering("ann", "enough")),
    };
    hand.app.client.runs().cancel_run(cancel).await.unwrap();
    assert_snapshot!(hand.why(&run).await, @"cancelled: it was cancelled at TIME by ann: enough");
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    hand.commit(end(&leased, 1, crate::succeed())).await.unwrap();
    assert_snapshot!(hand.why(&run).await, @"succeeded: it succeeded at TIME");
}
