//! The OpenAI dialect over real HTTP, with a worker that is driven by hand.

mod chat;
mod embeddings;
mod port;
mod refusals;
mod streams;

use std::future::Future;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tenure_sdk::v1;
use tokio::task::JoinHandle;

use crate::{Hand, append, end};

/// A response, read to its end.
struct Answered {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn run(&self) -> &str {
        self.header("x-tenure-run")
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The status and the code of an error.
    fn refused(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().unwrap().to_owned())
    }

    /// The events of a stream, without comments.
    fn events(&self) -> Vec<Value> {
        let events = self.text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
        events.map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into())).collect()
    }
}

pub(crate) fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::new()
}

impl Hand {
    fn request(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let request = http().post(format!("{}{path}", self.app.url));
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    }

    /// Sends a body to a path.
    fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &impl ToString,
    ) -> impl Future<Output = Answered> + Send + 'static {
        let request = self.request(path, headers).body(body.to_string());
        async move { read(request.send().await.unwrap()).await }
    }

    /// Sends a chat completion request with this key, and lets it wait.
    fn chat(&self, key: &str, with: &Value) -> JoinHandle<Answered> {
        let mut body = json!({"model": "hello", "messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in with.as_object().unwrap() {
            body[name] = value.clone();
        }
        let headers: &[_] = if key.is_empty() { &[] } else { &[("idempotency-key", key)] };
        tokio::spawn(self.post("/openai/v1/chat/completions", headers, &body))
    }

    async fn get(&self, path: &str) -> Answered {
        read(http().get(format!("{}{path}", self.app.url)).send().await.unwrap()).await
    }

    /// Ends a leased run with this message, after a model call that used some tokens.
    async fn say(&self, run: &v1::LeasedRun, message: &Value) {
        let mut request = append(run, 1, &["turn/0/model"]);
        request.records[0].usage = Some(v1::Usage {
            input_tokens: 12,
            output_tokens: 3,
            cached_tokens: 4,
            ..v1::Usage::default()
        });
        self.commit(request).await.unwrap();
        let output = v1::Payload {
            content_type: "application/vnd.tenure.message+json".into(),
            encoding: String::new(),
            data: message.to_string().into(),
        };
        let succeed = v1::outcome::Outcome::Succeed(output);
        self.commit(end(run, 2, succeed)).await.unwrap();
    }
}

async fn read(response: reqwest::Response) -> Answered {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answered { status, headers, text: response.text().await.unwrap() }
}

/// A message that is a text.
fn text(content: &str) -> Value {
    json!({"content": content, "finish_reason": "stop"})
}
