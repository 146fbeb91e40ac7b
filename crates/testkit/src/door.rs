//! A door for gRPC clients behind which everything goes over HTTP/JSON, so that the same tests cover
//! both. It reads the same annotations as the control plane, in the other direction.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::{Map, Value};
use tenure_server::transcode::{Binding, Bindings, frames};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::ServiceExt as _;

/// What says in the environment through which door tests go: `grpc`, or `http`.
pub const DOOR: &str = "TENURE_TEST_DOOR";

#[derive(Clone)]
struct Door {
    url: Arc<str>,
    http: reqwest::Client,
    grpc: Channel,
}

/// Whether tests go over HTTP/JSON.
pub fn is_http() -> bool {
    match std::env::var(DOOR).as_deref() {
        Err(_) | Ok("grpc" | "") => false,
        Ok("http") => true,
        Ok(other) => panic!("{DOOR} is `{other}`; there are `grpc` and `http`"),
    }
}

/// Opens a door to the control plane at `url`; where it listens, as a URL. It is open as long as the
/// runtime runs.
pub fn open(url: &str) -> String {
    rustls::crypto::ring::default_provider().install_default().ok();
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("the URL is one");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client can be built");
    let door = Door { url: url.into(), http, grpc: endpoint.connect_lazy() };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.set_nonblocking(true).expect("a listener can be asked not to block");
    let address = listener.local_addr().expect("a listener has an address");
    let listener = TcpListener::from_std(listener).expect("there is a runtime");
    let routes = Routes::from(Router::new().fallback(pass).with_state(door));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_routes(routes.prepare())
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))),
    );
    format!("http://{address}")
}

async fn pass(State(door): State<Door>, request: Request) -> Response {
    match door.pass(request).await {
        Ok(response) => response,
        Err(status) => status.into_http(),
    }
}

impl Door {
    async fn pass(self, request: Request) -> Result<Response, Status> {
        let bindings = Bindings::get().expect("the descriptors are right");
        let ways: Vec<_> = bindings.of(request.uri().path()).collect();
        let Some(first) = ways.first() else { return self.unchanged(request).await };
        if first.method.is_client_streaming() {
            return self.lines(first, request).await;
        }
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let body = body.to_bytes();
        let mut buffer = BytesMut::from(&body[..]);
        let message = frames::next(&mut buffer)?.unwrap_or_default();
        let Ok(message) = DynamicMessage::decode(first.method.input(), &message[..]) else {
            // What is no message cannot be said in JSON.
            return self.unchanged(Request::from_parts(parts, Body::from(body))).await;
        };
        let Ok(Value::Object(object)) = serde_json::to_value(&message) else {
            return Err(Status::internal("a message is no JSON object"));
        };
        let input = first.method.input();
        let complete = |binding: &&&Binding| {
            binding.template.fields().all(|name| !text(&object, &input, name).is_empty())
        };
        let binding = ways.iter().find(complete).unwrap_or(&ways[0]);
        self.call(binding, object, &parts.headers).await
    }

    /// What is no call of ours, such as health, goes on as gRPC.
    async fn unchanged(self, request: Request) -> Result<Response, Status> {
        let response = self.grpc.oneshot(request.map(tonic::body::Body::new)).await;
        let response = response.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(response.map(Body::new))
    }

    async fn call(
        &self,
        binding: &Binding,
        mut object: Map<String, Value>,
        headers: &HeaderMap,
    ) -> Result<Response, Status> {
        let input = binding.method.input();
        let path = binding.template.fill(|name| text(&object, &input, name));
        for name in binding.template.fields() {
            object.remove(input.get_field_by_name(name).expect("a field").json_name());
        }
        let request = if binding.body {
            let request = self.request(binding, &path, headers);
            if object.is_empty() { request } else { request.json(&Value::Object(object)) }
        } else {
            self.request(binding, &format!("{path}?{}", parameters(&object)), headers)
        };
        answer(binding, request).await
    }

    /// A call whose messages come bit by bit.
    async fn lines(&self, binding: &Binding, request: Request) -> Result<Response, Status> {
        let (parts, body) = request.into_parts();
        let input = binding.method.input();
        let lines = frames::messages(axum::http::Response::new(body)).map(move |message| {
            let message = message.map_err(std::io::Error::other)?;
            let message = DynamicMessage::decode(input.clone(), message);
            let message = message.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(format!("{}\n", serde_json::to_value(&message)?))
        });
        let request = self
            .request(binding, &binding.template.fill(|_| String::new()), &parts.headers)
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(reqwest::Body::wrap_stream(lines));
        answer(binding, request).await
    }

    fn request(
        &self,
        binding: &Binding,
        path: &str,
        headers: &HeaderMap,
    ) -> reqwest::RequestBuilder {
        let mut request = self.http.request(binding.verb.clone(), format!("{}{path}", self.url));
        for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("x-")) {
            request = request.header(name, value);
        }
        request
    }
}

/// The text of a field, which stands in a path.
fn text(object: &Map<String, Value>, input: &MessageDescriptor, name: &str) -> String {
    let field = input.get_field_by_name(name).expect("a field of the path is one of the message");
    object.get(field.json_name()).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn parameters(object: &Map<String, Value>) -> String {
    let one = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in object {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        query.extend_pairs(values.iter().map(|value| (name, one(value))));
    }
    query.finish()
}

/// Sends a request; the answer, as gRPC has it.
async fn answer(binding: &Binding, request: reqwest::RequestBuilder) -> Result<Response, Status> {
    let response =
        request.send().await.map_err(|error| Status::unavailable(format!("{error:?}")))?;
    if !response.status().is_success() {
        let body = response.json::<Value>().await;
        return Err(status(&body.map_err(|error| Status::internal(error.to_string()).to_string())));
    }
    let output = binding.method.output();
    let messages = lines(response).map(move |line| {
        let value: Value = serde_json::from_slice(&line?)
            .map_err(|error| Status::internal(format!("the answer is no JSON: {error}")))?;
        if value.get("error").is_some_and(|error| error.get("details").is_some()) {
            return Err(status(&Ok(value)));
        }
        let message = DynamicMessage::deserialize(output.clone(), value);
        let message = message.map_err(|error| Status::internal(format!("the answer: {error}")))?;
        Ok(frames::frame(&message.encode_to_vec()))
    });
    let body = messages
        .map_ok(Frame::data)
        .chain(end())
        .map(|frame| frame.or_else(|status| Ok::<_, Status>(Frame::trailers(trailers(&status)))));
    let mut response = Response::new(Body::new(StreamBody::new(body)));
    response.headers_mut().insert(CONTENT_TYPE, "application/grpc".parse().expect("a value"));
    Ok(response)
}

/// The trailers of a call that went well.
fn end() -> impl Stream<Item = Result<Frame<Bytes>, Status>> {
    stream::once(async { Ok(Frame::trailers(trailers(&Status::new(Code::Ok, "")))) })
}

fn trailers(status: &Status) -> HeaderMap {
    let mut headers = HeaderMap::new();
    status.add_header(&mut headers).expect("a status fits into headers");
    headers
}

/// The lines of an answer; one without line ends is a line.
fn lines(response: reqwest::Response) -> impl Stream<Item = Result<Bytes, Status>> + Send {
    let state = Some((response, BytesMut::new()));
    stream::unfold(state, |state| async move {
        let (mut response, mut buffer) = state?;
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(end + 1).freeze();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Some((Ok(line), Some((response, buffer))));
            }
            match response.chunk().await {
                Ok(Some(bytes)) => buffer.extend_from_slice(&bytes),
                Ok(None) if buffer.is_empty() => return None,
                Ok(None) => return Some((Ok(buffer.freeze()), None)),
                Err(error) => return Some((Err(Status::unavailable(error.to_string())), None)),
            }
        }
    })
}

/// The status that the body of an error says.
fn status(body: &Result<Value, String>) -> Status {
    let body = match body {
        Ok(body) => &body["error"],
        Err(error) => return Status::internal(format!("the error is no JSON: {error}")),
    };
    let word = body["status"].as_str().unwrap_or_default().replace('_', "");
    let code = (0..17).map(Code::from).find(|code| format!("{code:?}").to_uppercase() == word);
    let message = body["message"].as_str().unwrap_or_default();
    let mut status = Status::new(code.unwrap_or(Code::Unknown), message);
    let kind = body["details"][0]["reason"].as_str().unwrap_or_default().to_lowercase();
    let kind = kind.parse().expect("a kind is plain ASCII");
    status.metadata_mut().insert("tenure-error-kind", kind);
    if let Some(id) = body["details"].as_array().and_then(|all| all.last()?["requestId"].as_str()) {
        status.metadata_mut().insert("x-request-id", id.parse().expect("an id is plain ASCII"));
    }
    status
}
