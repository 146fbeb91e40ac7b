//! The tool `http_request` against a server.

use std::time::Duration;

use serde_json::{Value, json};
use tenure_agents::tools::http_request::{HttpRequest, client};
use tenure_sdk::{Failure, Retry};

use crate::double::{Answer, Double, json as answer};

async fn send(arguments: Value) -> Result<Value, Failure> {
    let hosts = vec!["127.0.0.1".into()];
    HttpRequest::new(hosts, client().unwrap(), Retry::NONE)
        .send(&arguments, "run/turn/1/tool")
        .await
}

fn redirect(to: String) -> Answer {
    (307, vec![("location", to)], String::new())
}

#[tokio::test]
async fn an_answer_is_told_with_its_status() {
    let server = Double::start(vec![answer(404, &json!({"no": 1}))]).await;
    let url = format!("{}/things?q=1", server.url);
    let headers = json!({"X-Mine": "1", "Idempotency-Key": "forged"});
    let told = send(json!({"method": "POST", "url": url, "headers": headers, "body": "hi"})).await;
    assert_eq!(
        told.unwrap(),
        json!({"status": 404, "headers": {"content-type": "application/json"}, "body": r#"{"no":1}"#})
    );
    let asked = &server.asked()[0];
    assert_eq!((asked.line.as_str(), asked.body.as_str()), ("POST /things?q=1", "hi"));
    assert_eq!(asked.headers["x-mine"], "1");
    assert_eq!(asked.headers["idempotency-key"], "run/turn/1/tool");
}

#[tokio::test]
async fn a_get_carries_no_idempotency_key() {
    let server = Double::start(vec![answer(200, &json!({}))]).await;
    send(json!({"method": "GET", "url": server.url})).await.unwrap();
    assert!(!server.asked()[0].headers.contains_key("idempotency-key"));
}

#[tokio::test]
async fn other_hosts_and_schemes_are_refused() {
    let server = Double::start(vec![]).await;
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    for (url, code) in [
        (format!("http://localhost:{port}/"), "http_host"),
        ("http://127.0.0.1.example.com/".into(), "http_host"),
        (format!("http://127.0.0.1:{port}@example.com/"), "http_request"),
        (format!("http://user:word@127.0.0.1:{port}/"), "http_request"),
        ("file:///etc/passwd".into(), "http_request"),
        ("nonsense".into(), "http_request"),
    ] {
        let failure = send(json!({"method": "GET", "url": url})).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.retryable), (code, false), "{url}");
    }
    let headers = json!({"Transfer-Encoding": "chunked"});
    let failure = send(json!({"method": "GET", "url": server.url, "headers": headers})).await;
    assert_eq!(failure.unwrap_err().code, "http_request");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn redirects_stay_on_the_host() {
    let other = Double::start(vec![]).await;
    let elsewhere = other.url.replace("127.0.0.1", "localhost");
    let server = Double::start(vec![
        redirect("/next".into()),
        answer(200, &json!({})),
        redirect(elsewhere.clone()),
    ])
    .await;
    let request = json!({"method": "GET", "url": server.url});
    assert_eq!(send(request.clone()).await.unwrap()["status"], 200);
    let told = send(request).await.unwrap();
    assert_eq!((&told["status"], &told["headers"]["location"]), (&json!(307), &json!(elsewhere)));
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_long_body_is_cut_between_characters() {
    let long = format!("x{}", "é".repeat(200 << 10));
    let raw = (200, vec![], "\0".repeat(10));
    let server = Double::start(vec![(200, vec![], long), raw]).await;
    let request = json!({"method": "GET", "url": server.url});
    let told = send(request.clone()).await.unwrap();
    assert_eq!(told["body"].as_str().unwrap().len(), (256 << 10) - 1);
    assert!(told["cut"].is_string());
    assert!(send(request).await.unwrap().get("cut").is_none());
}

#[tokio::test]
async fn what_may_have_happened_is_not_repeated() {
    for (method, retryable) in [("GET", true), ("PUT", true), ("POST", false), ("PATCH", false)] {
        let server = Double::start(vec![]).await;
        let failure = send(json!({"method": method, "url": server.url})).await.unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.retryable),
            ("http_connection", retryable),
            "{method}"
        );
    }
    // Nobody listens on a port that was just given back, so this one never arrived.
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    drop(socket);
    assert!(send(json!({"method": "POST", "url": url})).await.unwrap_err().retryable);
}

#[tokio::test]
async fn a_server_that_says_when_to_come_back_is_asked_again_then() {
    let busy = |status, header| (status, vec![header], String::new());
    let server = Double::start(vec![
        busy(429, ("retry-after", "7".into())),
        busy(503, ("retry-after", "120".into())),
        busy(503, ("x-other", "1".into())),
        busy(500, ("retry-after", "7".into())),
    ])
    .await;
    let request = json!({"method": "POST", "url": server.url});
    for (code, seconds) in [("http_429", 7), ("http_503", 120)] {
        let failure = send(request.clone()).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.retryable), (code, true));
        assert_eq!(failure.retry_after, Some(Duration::from_secs(seconds)));
    }
    for status in [503, 500] {
        assert_eq!(send(request.clone()).await.unwrap()["status"], status, "it says no time");
    }
}
