//! What is no request at all.

use insta::assert_snapshot;
use tenure_sdk::v1;
use tenure_testkit::app::App;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;

use crate::{Hand, append, record, said};

/// Sends bytes as they are.
#[derive(Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = tonic::Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = tonic::Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, tonic::Status> {
        Ok(Some(Vec::new()))
    }
}

async fn send(app: &App, bytes: Vec<u8>) -> Result<(), tonic::Status> {
    let channel = tonic::transport::Endpoint::from_shared(app.url.clone()).unwrap();
    let mut grpc = Grpc::new(channel.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/tenure.v1.RunService/CreateRun");
    grpc.unary(tonic::Request::new(bytes), path, Raw).await.map(drop)
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let app = App::start().await;
    for bytes in [vec![0xff; 64], vec![0x0a, 0x7f], vec![0x22, 0x02, 0x1a, 0xff]] {
        let status = send(&app, bytes).await.unwrap_err();
        assert!(status.message().contains("failed to decode"), "{status:?}");
    }
    app.publish("hello").await;
}

#[tokio::test]
async fn a_message_over_the_limit_names_it() {
    let app = App::start().await;
    let status = send(&app, vec![0; (4 << 20) + 1]).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::OutOfRange);
    assert!(status.message().contains("4194304"), "{status:?}");
}

#[tokio::test]
async fn a_document_over_the_limit_names_it() {
    let app = App::start().await;
    let document = format!("name: hello\ndescription: {}", "x".repeat(256 << 10));
    let request = v1::PublishVersionRequest { tenant: "default".into(), document };
    let status = app.client.agents().publish_version(request).await.unwrap_err();
    assert_snapshot!(said(&status), @"OutOfRange: the specification in bytes is 262169; the limit is 262144");
}

#[tokio::test]
async fn a_commit_that_breaks_the_rules_is_refused_whole() {
    let hand = Hand::start().await;
    let run = hand.app.create("hello", "1").await;
    let leased = hand.leased().await;
    let refused = async |records: Vec<v1::Record>| {
        let request = v1::CommitRequest { records, ..append(&leased, 1, &[]) };
        said(&hand.commit(request).await.unwrap_err())
    };
    let big = record("big", &"x".repeat((1 << 20) + 1));
    assert_snapshot!(refused(vec![record("a", "1"), big]).await, @"OutOfRange: the payload of entry `big` in bytes is 1048577; the limit is 1048576");
    assert_snapshot!(refused(vec![record("a", "1"), record("a b", "1")]).await, @"InvalidArgument: `a b` is not a journal key: scopes and a name joined by `/`, as in `turn/3/tool:search#1`");
    let many = (0..1_001).map(|number| record(&format!("s{number}"), "1")).collect();
    assert_snapshot!(refused(many).await, @"OutOfRange: the number of entries in one commit is 1001; the limit is 1000");
    let nothing = v1::Record { status: None, ..record("a", "1") };
    assert_snapshot!(refused(vec![nothing]).await, @"InvalidArgument: entry `a`: status is missing");
    assert!(hand.app.journal(&run).await.is_empty());
}
