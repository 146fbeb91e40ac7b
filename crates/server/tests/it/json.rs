//! HTTP/JSON as its clients see it. That each call does over it what it does over gRPC is checked by
//! all other tests here, with `TENURE_TEST_DOOR=http`.

mod bad;
mod docs;
mod shell;
mod web;

use std::future::Future;

use insta::assert_snapshot;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tenure_sdk::v1;
use tenure_testkit::app::App;

use crate::openai::http;
use crate::{Hand, append, end, succeed};

/// What came back.
struct Answered {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Status, code and message of an error.
    fn error(&self) -> String {
        let error = &self.json()["error"];
        assert_eq!(error["code"], self.status);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let reason = text(&error["details"][0]["reason"]);
        format!("{} {} {reason}: {}", self.status, text(&error["status"]), text(&error["message"]))
    }
}

/// Makes a request such as `POST /v1/tenants`.
fn send<B: Into<reqwest::Body>>(
    app: &App,
    request: &str,
    headers: &[(&str, &str)],
    body: B,
) -> impl Future<Output = Answered> + Send + use<B> {
    let (method, path) = request.split_once(' ').unwrap();
    let method = method.parse().unwrap();
    let request = http().request(method, format!("{}{path}", app.url)).body(body);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    async move {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answered { status, headers, text: response.text().await.unwrap() }
    }
}

async fn get(app: &App, path: &str) -> Answered {
    send(app, &format!("GET {path}"), &[], "").await
}

async fn post(app: &App, path: &str, body: &Value) -> Answered {
    let json = [("content-type", "application/json")];
    send(app, &format!("POST {path}"), &json, body.to_string()).await
}

const RUNS: &str = "/v1/tenants/default/runs";

#[tokio::test]
async fn a_run_is_created_read_listed_and_cancelled() {
    let hand = Hand::start().await;
    let app = &hand.app;
    let body = json!({
        "agent": "hello",
        "input": {"content_type": "application/json", "data": "MQ=="},
        "labels": {"a": "b"},
        "startAfter": "3600.5s",
        "priority": "-3",
    });
    let created = post(app, RUNS, &body).await;
    assert_eq!((created.status, created.header("content-type")), (200, "application/json"));
    let run = created.json();
    let id = run["id"].as_str().unwrap();
    assert_eq!(run["state"], "RUN_STATE_QUEUED");
    assert_eq!(run["input"], json!({"contentType": "application/json", "data": "MQ=="}));
    assert_eq!((&run["priority"], &run["version"]), (&json!(-3), &json!(1)));
    assert!(run.get("output").is_none(), "fields with their default are left out");
    let read = get(app, &format!("{RUNS}/{id}")).await;
    assert_eq!(read.json(), run);
    let query = "agent=hello&states=RUN_STATE_QUEUED&states=2&page_size=5&fields=runs.id";
    let listed = get(app, &format!("{RUNS}?{query}")).await;
    assert_eq!(listed.json(), json!({"runs": [{"id": id}]}));
    let why = get(app, &format!("{RUNS}/{id}:explain?fields=code")).await;
    assert_eq!(why.json(), json!({"code": "starts_later"}));
    let cancelled = send(app, &format!("POST {RUNS}/{id}:cancel"), &[], "").await;
    assert_eq!(cancelled.json()["state"], "RUN_STATE_CANCELLED");
}

#[tokio::test]
async fn a_key_makes_a_creation_happen_once() {
    let hand = Hand::start().await;
    let headers = [("idempotency-key", "k1"), ("content-type", "application/json")];
    let create = |body: &'static str| send(&hand.app, &format!("POST {RUNS}"), &headers, body);
    let first = create(r#"{"agent": "hello"}"#).await;
    assert_eq!(create(r#"{"agent": "hello", "idempotencyKey": "k1"}"#).await.json(), first.json());
    let other = create(r#"{"agent": "hello", "priority": 1}"#).await.error();
    assert!(other.starts_with("409 ALREADY_EXISTS ALREADY_EXISTS: "), "{other}");
    let two = create(r#"{"agent": "hello", "idempotency_key": "k2"}"#).await.error();
    assert_snapshot!(two, @"400 INVALID_ARGUMENT INVALID: idempotencyKey: the header `Idempotency-Key` says another");
}

#[tokio::test]
async fn a_request_has_an_id() {
    let hand = Hand::start().await;
    let path = format!("GET {RUNS}/x");
    let given = send(&hand.app, &path, &[("x-request-id", "mine")], "").await;
    assert_eq!(given.header("x-request-id"), "mine");
    let info = &given.json()["error"]["details"][1];
    let expected =
        json!({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "mine"});
    assert_eq!(*info, expected);
    for none in ["", "with space", &"x".repeat(200)] {
        let ours = send(&hand.app, &path, &[("x-request-id", none)], "").await;
        assert_eq!(ours.header("x-request-id").len(), 16, "{none}");
    }
}

#[tokio::test]
async fn a_worker_needs_no_more_than_http() {
    let hand = Hand::start().await;
    let app = &hand.app;
    let run = app.create("hello", "1").await;
    let worker = &hand.worker;
    let poll = json!({"tenants": ["default"], "pools": ["hello"], "capacity": 1, "wait": "20s"});
    let polled = post(app, &format!("/v1/workers/{worker}:poll"), &poll).await.json();
    let leased = &polled["dispatched"]["runs"][0];
    assert_eq!((&leased["run"], &leased["nextSeq"]), (&json!(run), &json!("1")));
    let held = json!({"leases": [{"run": run, "lease": leased["lease"]}]});
    let beat = post(app, &format!("/v1/tenants/default/workers/{worker}:heartbeat"), &held).await;
    assert_eq!((beat.status, beat.json()), (200, json!({})));
    let payload = json!({"contentType": "application/json", "data": "NDI="});
    let record =
        json!({"key": "step", "kind": "ENTRY_KIND_STEP", "succeeded": payload, "attempt": 1});
    let commit = json!({"lease": leased["lease"], "expectedSeq": 1, "records": [record],
        "outcome": {"succeed": payload}});
    let committed = post(app, &format!("{RUNS}/{run}:commit"), &commit).await;
    assert_eq!((committed.status, &committed.json()["nextSeq"]), (200, &json!("2")));
    assert_eq!(app.keys(&run).await, ["step"]);
    let again = json!({"lease": leased["lease"], "expectedSeq": "5"});
    let lost = post(app, &format!("{RUNS}/{run}:commit"), &again).await.error();
    assert!(lost.starts_with("409 ABORTED LEASE_LOST: "), "{lost}");
}

/// Ends a run with two entries in its journal; its id.
async fn ended(hand: &Hand) -> String {
    let run = hand.app.create("hello", "1").await;
    let leased = hand.leased().await;
    hand.commit(append(&leased, 1, &["a", "b"])).await.unwrap();
    hand.commit(end(&leased, 3, succeed())).await.unwrap();
    run
}

#[tokio::test]
async fn a_watch_is_one_object_a_line() {
    let hand = Hand::start().await;
    let run = ended(&hand).await;
    let watched =
        get(&hand.app, &format!("{RUNS}/{run}:watch?after_seq=1&fields=entry.seq,run.state")).await;
    assert_eq!((watched.status, watched.header("content-type")), (200, "application/x-ndjson"));
    assert_snapshot!(watched.text, @r#"
    {"entry":{"seq":"2"}}
    {"run":{"state":"RUN_STATE_SUCCEEDED"}}
    "#);
    let gone = get(&hand.app, &format!("{RUNS}/run_01h455vb4pex5vsknk084sn02q:watch")).await;
    assert_eq!((gone.status, gone.header("content-type")), (404, "application/json"));
}

#[tokio::test]
async fn a_watch_is_events_that_go_on_where_they_ended() {
    let hand = Hand::start().await;
    let run = ended(&hand).await;
    let watch = format!("GET {RUNS}/{run}:watch?afterSeq=0&fields=entry.seq,run.state");
    let accept = ("accept", "text/event-stream");
    let watched = send(&hand.app, &watch, &[accept], "").await;
    assert_eq!(watched.header("content-type"), "text/event-stream");
    assert_snapshot!(watched.text, @r#"
    id: 1
    event: entry
    data: {"entry":{"seq":"1"}}

    id: 2
    event: entry
    data: {"entry":{"seq":"2"}}

    event: run
    data: {"run":{"state":"RUN_STATE_SUCCEEDED"}}

    event: end
    data: {}
    "#);
    let again = send(&hand.app, &watch, &[accept, ("last-event-id", "2")], "").await;
    assert!(again.text.starts_with("event: run\n"), "{}", again.text);
}

#[tokio::test]
async fn a_stop_ends_streams_without_saying_that_this_was_all() {
    let hand = Hand::start().await;
    let run = hand.app.create("hello", "1").await;
    let watch = format!("{}{RUNS}/{run}:watch", hand.app.url);
    let request = http().get(watch).header("accept", "text/event-stream");
    let mut response = request.send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"event: run\n"));
    hand.app.stop();
    assert_eq!(response.text().await.unwrap(), "");
}

#[tokio::test]
async fn what_a_step_says_is_one_object_a_line() {
    let hand = Hand::start().await;
    let run = hand.app.create("hello", "1").await;
    let leased = hand.leased().await;
    let watch = v1::WatchRunRequest {
        tenant: "default".into(),
        run: run.clone(),
        after_seq: 0,
        stream: true,
    };
    let watched = hand.app.client.runs().watch_run(watch).await.unwrap();
    let mut watched = watched.into_inner();
    let event = json!({"key": "talk", "epoch": leased.epoch, "attempt": 1, "kind": "token",
        "contentType": "text/plain", "data": "aGk="});
    let line = json!({"tenant": "default", "run": run, "lease": leased.lease, "event": event});
    let lines = |text: String| {
        let headers = [("content-type", "application/x-ndjson")];
        send(&hand.app, "POST /v1/events:publish", &headers, text)
    };
    assert_eq!(lines(format!("{line}\n\n")).await.json(), json!({}));
    loop {
        let event = watched.message().await.unwrap().unwrap().event.unwrap();
        if let v1::watch_run_response::Event::Published(event) = event {
            assert_eq!(&event.data[..], b"hi");
            break;
        }
    }
    let bad = lines(format!("{line}\n{{\"ten\": 1}}\n")).await.error();
    assert_snapshot!(bad, @"400 INVALID_ARGUMENT INVALID: line 2: ten: there is no `ten`; there are tenant, run, lease, event");
}
