//! One port for HTTP and gRPC.

use tenure_sdk::v1;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;

use super::http;
use crate::Hand;

#[tokio::test]
async fn http_1_http_2_and_grpc_share_the_port() {
    let hand = Hand::start().await;
    let url = format!("{}/openai/v1/models", hand.app.url);
    let over_1 = http().get(&url).send().await.unwrap();
    let over_2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let over_2 = over_2.get(&url).send().await.unwrap();
    let versions = (over_1.version(), over_2.version());
    assert_eq!(versions, (reqwest::Version::HTTP_11, reqwest::Version::HTTP_2));
    assert_eq!(over_1.text().await.unwrap(), over_2.text().await.unwrap());
    let list =
        v1::ListAgentsRequest { tenant: "default".into(), ..v1::ListAgentsRequest::default() };
    let agents = hand.app.client.agents().list_agents(list).await.unwrap().into_inner().agents;
    assert_eq!(agents.len(), 1);
}

#[tokio::test]
async fn each_is_told_in_its_own_way_that_there_is_nothing() {
    let hand = Hand::start().await;
    let nothing = hand.get("/nothing").await;
    assert_eq!((nothing.status, &*nothing.text), (404, "there is nothing here\n"));
    let channel = tonic::transport::Endpoint::from_shared(hand.app.url.clone()).unwrap();
    let mut grpc = Grpc::new(channel.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/tenure.v1.NoService/Nothing");
    let request = tonic::Request::new(vec![1]);
    let status = grpc.unary(request, path, crate::wire::Raw).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented, "{status:?}");
}

/// A call that is held ends at the client's deadline, which the server keeps too.
#[tokio::test]
async fn deadlines_of_grpc_are_kept() {
    let hand = Hand::start().await;
    let poll = v1::PollRequest {
        tenants: vec!["default".into()],
        worker: hand.worker.clone(),
        pools: vec!["hello".into()],
        capacity: 1,
        wait: Some(std::time::Duration::from_secs(20).into()),
    };
    let mut request = tonic::Request::new(poll);
    request.metadata_mut().insert("grpc-timeout", "200m".parse().unwrap());
    let status = hand.app.client.workers().poll(request).await.unwrap_err();
    assert!(status.message().contains("Timeout expired"), "{status:?}");
}
