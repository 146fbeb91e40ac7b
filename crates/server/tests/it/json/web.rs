//! Browsers: gRPC-web, and pages of other sites.

use tenure_sdk::v1;
use tenure_server::Settings;
use tenure_server::transcode::frames;
use tenure_testkit::app::quick;

use super::{http, send};
use crate::Hand;

#[tokio::test]
async fn grpc_web_shares_the_port() {
    let hand = Hand::start().await;
    let request =
        v1::ListAgentsRequest { tenant: "default".into(), ..v1::ListAgentsRequest::default() };
    let url = format!("{}/tenure.v1.AgentService/ListAgents", hand.app.url);
    let body = frames::frame(&prost::Message::encode_to_vec(&request));
    let request = http().post(url).header("content-type", "application/grpc-web+proto").body(body);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc-web+proto");
    let mut body = bytes::BytesMut::from(&response.bytes().await.unwrap()[..]);
    let message = frames::next(&mut body).unwrap().unwrap();
    let listed: v1::ListAgentsResponse = prost::Message::decode(message).unwrap();
    assert_eq!(listed.agents[0].name, "hello");
    assert!(String::from_utf8_lossy(&body).contains("grpc-status:0"));
}

#[tokio::test]
async fn pages_of_other_sites_call_if_they_may() {
    let site = "https://app.example.com";
    let settings = Settings { cors_origins: vec![site.into()], ..quick() };
    let hand = Hand::with(settings).await;
    let ask = async |path: &str, origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        send(&hand.app, &format!("OPTIONS {path}"), &headers, "").await
    };
    for path in ["/v1/tenants", "/tenure.v1.RunService/CreateRun"] {
        let asked = ask(path, site).await;
        assert_eq!((asked.status, asked.header("access-control-allow-origin")), (200, site));
        assert_eq!(asked.header("access-control-allow-methods"), "GET,POST,PUT");
        let other = ask(path, "https://other.example.com").await;
        assert_eq!(other.header("access-control-allow-origin"), "");
    }
    let listed = send(&hand.app, "GET /v1/tenants", &[("origin", site)], "").await;
    assert_eq!((listed.status, listed.header("access-control-allow-origin")), (200, site));
    assert!(listed.header("access-control-expose-headers").contains("x-request-id"));
    let closed = Hand::start().await;
    let listed = send(&closed.app, "GET /v1/tenants", &[("origin", site)], "").await;
    assert_eq!(listed.header("access-control-allow-origin"), "");
}
