//! Runs as their users see them.

use std::collections::BTreeSet;
use std::time::Duration;

use insta::assert_snapshot;
use tenure_sdk::v1;
use tenure_testkit::app::App;

use crate::{Hand, append, end, said, succeed};

fn request(key: &str, input: &str) -> v1::CreateRunRequest {
    v1::CreateRunRequest {
        tenant: "default".into(),
        agent: "hello".into(),
        input: Some(v1::Payload { data: input.to_owned().into(), ..v1::Payload::default() }),
        labels: [("team".into(), "red".into()), ("ticket".into(), "7".into())].into(),
        idempotency_key: key.into(),
        ..v1::CreateRunRequest::default()
    }
}

#[tokio::test]
async fn an_idempotency_key_is_one_run() {
    let app = App::start().await;
    app.publish("hello").await;
    let mut created = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = app.client.clone();
        created.spawn(async move {
            client.runs().create_run(request("k1", "1")).await.unwrap().into_inner().id
        });
    }
    let ids: BTreeSet<String> = created.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let other = app.client.runs().create_run(request("k1", "2")).await.unwrap_err();
    let message = said(&other).replace(ids.first().unwrap(), "run_…");
    assert_snapshot!(message, @"AlreadyExists: idempotency key `k1` was used for another request, which created run_…");
    let free = app.client.runs().create_run(request("k2", "2")).await.unwrap().into_inner();
    assert!(!ids.contains(&free.id));
    assert_eq!(free.labels["team"], "red");
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let app = App::start().await;
    app.publish("hello").await;
    let big = "x".repeat((1 << 20) + 1);
    let refused = app.client.runs().create_run(request("k1", &big)).await.unwrap_err();
    assert_snapshot!(said(&refused), @"OutOfRange: the input of the run in bytes is 1048577; the limit is 1048576");
    app.client.runs().create_run(request("k1", "1")).await.unwrap();
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let app = App::start().await;
    app.publish("hello").await;
    let create = async |tenant: &str, agent: &str, version: &str| {
        let request = v1::CreateRunRequest {
            tenant: tenant.into(),
            agent: agent.into(),
            version: version.into(),
            ..v1::CreateRunRequest::default()
        };
        said(&app.client.runs().create_run(request).await.unwrap_err())
    };
    assert_snapshot!(create("nobody", "hello", "").await, @"NotFound: there is no tenant `nobody`");
    assert_snapshot!(create("default", "bye", "").await, @"NotFound: there is no agent `bye`");
    assert_snapshot!(create("default", "hello", "7").await, @"NotFound: agent `hello` has no version 7");
    assert_snapshot!(create("default", "hello", "gold").await, @"NotFound: agent `hello` has no alias `gold`");
    assert_snapshot!(create("", "hello", "").await, @"InvalidArgument: tenant: `` is not a name: use 1 to 128 of a-z, 0-9, `.`, `_`, `-`, with a letter or digit at both ends");
    let get = async |run: &str| {
        let request = v1::GetRunRequest { tenant: "default".into(), run: run.into(), wait: None };
        said(&app.client.runs().get_run(request).await.unwrap_err())
    };
    assert_snapshot!(get("run_01h455vb4pex5vsknk084sn02q").await, @"NotFound: there is no run run_01h455vb4pex5vsknk084sn02q");
    assert_snapshot!(get("agt_01h455vb4pex5vsknk084sn02q").await, @"InvalidArgument: `agt_01h455vb4pex5vsknk084sn02q` is not a run id: expected `run_` and 26 characters");
}

#[tokio::test]
async fn no_tenant_sees_the_runs_of_another() {
    let app = App::start().await;
    app.publish("hello").await;
    let run = app.create("hello", "1").await;
    let tenant = v1::CreateTenantRequest { name: "other".into() };
    app.client.tenants().create_tenant(tenant).await.unwrap();
    let get = v1::GetRunRequest { tenant: "other".into(), run: run.clone(), wait: None };
    let seen = app.client.runs().get_run(get).await.unwrap_err();
    assert_eq!(seen.code(), tonic::Code::NotFound);
    let cancel = v1::CancelRunRequest { tenant: "other".into(), run: run.clone(), steering: None };
    let cancelled = app.client.runs().cancel_run(cancel).await.unwrap_err();
    assert_eq!(cancelled.code(), tonic::Code::NotFound);
    let list = v1::ListRunsRequest { tenant: "other".into(), ..v1::ListRunsRequest::default() };
    assert!(app.client.runs().list_runs(list).await.unwrap().into_inner().runs.is_empty());
}

#[tokio::test]
async fn runs_are_listed_newest_first_by_agent_and_state() {
    let app = App::start().await;
    app.publish("hello").await;
    app.publish("bye").await;
    let mut hellos = Vec::new();
    for _ in 0..5 {
        hellos.push(app.create("hello", "1").await);
        app.create("bye", "1").await;
    }
    let cancel = v1::CancelRunRequest {
        tenant: "default".into(),
        run: hellos[2].clone(),
        steering: Some(crate::steering("ann", "enough")),
    };
    let cancelled = app.client.runs().cancel_run(cancel).await.unwrap().into_inner();
    assert_eq!(
        (cancelled.state(), &*cancelled.steering.unwrap().reason),
        (v1::RunState::Cancelled, "enough")
    );
    let list = async |states: Vec<i32>, page_token: String| {
        let request = v1::ListRunsRequest {
            tenant: "default".into(),
            agent: "hello".into(),
            states,
            page_size: 3,
            page_token,
            ..v1::ListRunsRequest::default()
        };
        let page = app.client.runs().list_runs(request).await.unwrap().into_inner();
        let ids: Vec<String> = page.runs.into_iter().map(|run| run.id).collect();
        (ids, page.next_page_token)
    };
    let (first, token) = list(Vec::new(), String::new()).await;
    let (second, last) = list(Vec::new(), token).await;
    let newest_first: Vec<String> = hellos.iter().rev().cloned().collect();
    assert_eq!(([first, second].concat(), &*last), (newest_first, ""));
    let (only, _) = list(vec![v1::RunState::Cancelled.into()], String::new()).await;
    assert_eq!(only, [hellos[2].clone()]);
}

#[tokio::test]
async fn a_watch_shows_entries_before_the_state_they_led_to_and_ends_with_the_run() {
    let hand = Hand::start().await;
    let run = hand.app.create("hello", "1").await;
    let leased = hand.leased().await;
    hand.commit(append(&leased, 1, &["a", "b"])).await.unwrap();
    let watch = v1::WatchRunRequest {
        tenant: "default".into(),
        run: run.clone(),
        after_seq: 1,
        stream: false,
    };
    let mut events = hand.app.client.runs().watch_run(watch).await.unwrap().into_inner();
    let mut seen = Vec::new();
    let mut ended = false;
    while let Some(event) = events.message().await.unwrap() {
        seen.push(match event.event.unwrap() {
            v1::watch_run_response::Event::Entry(entry) => entry.record.unwrap().key,
            v1::watch_run_response::Event::Run(run) => run.state().as_str_name().to_owned(),
            other => panic!("nobody asked for {other:?}"),
        });
        if !ended {
            hand.commit(append(&leased, 3, &["c"])).await.unwrap();
            hand.commit(end(&leased, 4, succeed())).await.unwrap();
            ended = true;
        }
    }
    assert_eq!(seen.first().map(String::as_str), Some("b"), "it began after entry 1");
    assert_eq!(seen.last().map(String::as_str), Some("RUN_STATE_SUCCEEDED"));
    let entries: Vec<&String> = seen.iter().filter(|what| what.len() == 1).collect();
    assert_eq!(entries, ["b", "c"], "each entry once, in order");
}

#[tokio::test]
async fn a_signal_is_delivered_once() {
    let app = App::start().await;
    app.publish("hello").await;
    let run = app.create("hello", "1").await;
    let signal = async |id: &str| {
        let request = v1::SignalRunRequest {
            tenant: "default".into(),
            run: run.clone(),
            name: "go".into(),
            payload: None,
            request_id: id.into(),
        };
        app.client.runs().signal_run(request).await.map(|sent| sent.into_inner().delivered)
    };
    assert!(signal("s1").await.unwrap());
    assert!(!signal("s1").await.unwrap(), "the same signal again");
    assert!(signal("").await.unwrap() && signal("").await.unwrap(), "each a signal of its own");
    let cancel =
        v1::CancelRunRequest { tenant: "default".into(), run: run.clone(), steering: None };
    app.client.runs().cancel_run(cancel).await.unwrap();
    let late = signal("s2").await.unwrap_err();
    assert_eq!(late.code(), tonic::Code::FailedPrecondition);
}

#[tokio::test]
async fn a_run_does_not_start_before_its_time() {
    let hand = Hand::start().await;
    hand.app.pass(Duration::ZERO).await;
    let later = v1::CreateRunRequest {
        start_after: Some(Duration::from_mins(10).into()),
        ..request("", "1")
    };
    let run = hand.app.client.runs().create_run(later).await.unwrap().into_inner();
    assert!(run.state() == v1::RunState::Queued && run.wakes_at.is_some(), "{run:?}");
    assert!(hand.poll(50).await.is_none());
    hand.app.pass(Duration::from_mins(10)).await;
    assert_eq!(hand.leased().await.run, run.id);
    let wrong = v1::CreateRunRequest {
        start_after: Some(pbjson_types::Duration { seconds: -1, nanos: 0 }),
        ..request("", "1")
    };
    let wrong = hand.app.client.runs().create_run(wrong).await.unwrap_err();
    assert_snapshot!(said(&wrong), @"InvalidArgument: start_after is not a duration of zero or more");
}
