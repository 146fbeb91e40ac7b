//! Requests that are wrong.

use insta::assert_snapshot;
use serde_json::json;

use super::{RUNS, get, post, send};
use crate::Hand;

#[tokio::test]
async fn every_wrong_field_is_named() {
    let hand = Hand::start().await;
    let body = json!({"agnet": "hello", "priority": "high", "tenant": "other"});
    let wrong = post(&hand.app, &format!("{RUNS}?wait=1s"), &body).await;
    assert_snapshot!(wrong.error(), @"400 INVALID_ARGUMENT INVALID: wait: the fields of this call go into its body, as JSON; tenant: the path has `default`; agnet: there is no `agnet`; did you mean `agent`?; priority: this is to be a whole number from -2147483648 to 2147483647");
    let violations = &wrong.json()["error"]["details"][1]["fieldViolations"];
    assert_eq!(violations.as_array().unwrap().len(), 4);
    let query =
        get(&hand.app, &format!("{RUNS}?agents=a&page_size=x&page_size=2&states=QUEUED")).await;
    assert_snapshot!(query.error(), @"400 INVALID_ARGUMENT INVALID: agents: there is no `agents`; did you mean `agent`?; page_size: this is given twice; pageSize: this is to be a whole number from 0 to 4294967295; states[0]: there is no `QUEUED`; there are RUN_STATE_UNSPECIFIED, RUN_STATE_QUEUED, RUN_STATE_RUNNING, RUN_STATE_WAITING, RUN_STATE_SUCCEEDED, RUN_STATE_FAILED, RUN_STATE_CANCELLED");
    let fields = get(&hand.app, &format!("{RUNS}?fields=run.id")).await;
    assert_snapshot!(fields.error(), @"400 INVALID_ARGUMENT INVALID: fields: there is no `run`; did you mean `runs`?");
}

#[tokio::test]
async fn bodies_that_are_no_objects_are_refused() {
    let hand = Hand::start().await;
    let json = ("content-type", "application/json; charset=utf-8");
    let create = format!("POST {RUNS}");
    let mut said = Vec::new();
    let deep = "[".repeat(10_000);
    for body in ["{", "[]", "{\"agent\": \"\u{1}\"}", &deep, "{\"agent\": 1e999}"] {
        said.push(send(&hand.app, &create, &[json], body.to_owned()).await.error());
    }
    let invalid = send(&hand.app, &create, &[json], &b"{\"agent\": \"\xff\"}"[..]).await;
    said.push(invalid.error());
    said.push(send(&hand.app, &create, &[], "{}").await.error());
    said.push(send(&hand.app, &create, &[("content-type", "text/plain")], "{}").await.error());
    let packed = [json, ("content-encoding", "gzip")];
    said.push(send(&hand.app, &create, &packed, "{}").await.error());
    said.push(send(&hand.app, &format!("GET {RUNS}"), &[json], "{}").await.error());
    assert_snapshot!(said.join("\n"), @r"
    400 INVALID_ARGUMENT INVALID: the body is no JSON: EOF while parsing an object at line 1 column 1
    400 INVALID_ARGUMENT INVALID: the body is to be an object
    400 INVALID_ARGUMENT INVALID: the body is no JSON: control character (\u0000-\u001F) found while parsing a string at line 1 column 12
    400 INVALID_ARGUMENT INVALID: the body is no JSON: recursion limit exceeded at line 1 column 128
    400 INVALID_ARGUMENT INVALID: the body is no JSON: number out of range at line 1 column 15
    400 INVALID_ARGUMENT INVALID: the body is no JSON: invalid unicode code point at line 1 column 12
    415 INVALID_ARGUMENT INVALID: the body is to be application/json: send `content-type: application/json`
    415 INVALID_ARGUMENT INVALID: the body is to be application/json: send `content-type: application/json`
    415 INVALID_ARGUMENT INVALID: bodies in `gzip` are not taken: send it plain
    400 INVALID_ARGUMENT INVALID: this call has no body: its fields go into the query
    ");
}

#[tokio::test]
async fn bodies_over_the_limit_name_it() {
    let hand = Hand::start().await;
    let json = [("content-type", "application/json")];
    let create = format!("POST {RUNS}");
    let big = format!("{{\"agent\": \"{}\"}}", "x".repeat(6 << 20));
    assert_snapshot!(send(&hand.app, &create, &json, big).await.error(), @"413 OUT_OF_RANGE TOO_LARGE: the body in bytes is over the limit of 6291456");
    // In JSON it is small enough, but not as a message.
    let big = format!("{{\"agent\": \"{}\"}}", "x".repeat(5 << 20));
    assert_snapshot!(send(&hand.app, &create, &json, big).await.error(), @"413 OUT_OF_RANGE TOO_LARGE: Error, decoded message length too large: found 5242894 bytes, the limit is: 4194304 bytes");
}

#[tokio::test]
async fn paths_and_methods_that_are_none_are_told_so() {
    let hand = Hand::start().await;
    let app = &hand.app;
    let mut said = Vec::new();
    let requests = [
        "GET /v1/nothing",
        "POST /v1/tenants/default/runs/x:cancle",
        "DELETE /v1/tenants",
        "GET /v1/tenants/default/runs/",
        "GET /v1/tenants/default/runs/x%2Fy",
        "GET /v1/tenants/%FF/runs",
    ];
    for request in requests {
        said.push(send(app, request, &[], "").await.error());
    }
    let html = [("accept", "text/html")];
    said.push(send(app, "GET /v1/tenants", &html, "").await.error());
    assert_snapshot!(said.join("\n"), @r"
    404 NOT_FOUND NOT_FOUND: there is nothing at `/v1/nothing`; GET /docs lists what there is
    404 NOT_FOUND NOT_FOUND: there is nothing at `/v1/tenants/default/runs/x:cancle`; GET /docs lists what there is
    405 INVALID_ARGUMENT INVALID: DELETE is not for this path, which takes POST, GET, HEAD, OPTIONS
    400 INVALID_ARGUMENT INVALID: `` is not a run id: expected `run_` and 26 characters
    400 INVALID_ARGUMENT INVALID: `x/y` is not a run id: expected `run_` and 26 characters
    400 INVALID_ARGUMENT INVALID: tenant: `�` is not a name: use 1 to 128 of a-z, 0-9, `.`, `_`, `-`, with a letter or digit at both ends
    406 INVALID_ARGUMENT INVALID: the answer is application/json, and the header `accept` excludes that
    ");
    let wrong = send(app, "PATCH /v1/tenants/default/runs", &[], "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "POST, GET, HEAD, OPTIONS"));
    let options = send(app, "OPTIONS /v1/tenants/default/runs/x", &[], "").await;
    assert_eq!((options.status, options.header("allow")), (204, "GET, HEAD, OPTIONS"));
    let head = send(app, "HEAD /v1/tenants", &[], "").await;
    assert_eq!(
        (head.status, head.header("content-type"), &*head.text),
        (200, "application/json", "")
    );
    let length = get(app, "/v1/tenants").await.text.len().to_string();
    assert_eq!(head.header("content-length"), length);
}

#[tokio::test]
async fn a_query_has_a_bounded_number_of_parameters() {
    let hand = Hand::start().await;
    let query = |number: usize| format!("{RUNS}?{}", vec!["states=1"; number].join("&"));
    assert_eq!(get(&hand.app, &query(64)).await.status, 200);
    assert_snapshot!(get(&hand.app, &query(65)).await.error(), @"400 INVALID_ARGUMENT INVALID: a query has at most 64 parameters");
}
