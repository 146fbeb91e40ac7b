//! An HTTP server that speaks the wire format of `OpenAI` and says what scripts say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tenure_agents::model::{
    Definition, Message, Model, Nobody, Reply, Request, Scripted, ToolCall,
};
use tenure_spec::{Provider, Script, Span, Spec};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::double::read;

/// The server; it counts what it is asked.
pub(super) struct Talk {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    scripts: Mutex<HashMap<String, Script>>,
    /// Bodies of requests.
    asked: Mutex<Vec<String>>,
}

impl Talk {
    pub(super) async fn start() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let served = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = served.clone();
                tokio::spawn(async move { serve(stream, &shared).await });
            }
        });
        Self { url, shared }
    }

    /// The document with its scripted model made one of `OpenAI` that this server answers for. A
    /// document without a model is given the script of `default`.
    pub(super) fn instead(&self, document: &str, default: Option<&Script>) -> String {
        let mut spec = tenure_spec::parse(document).unwrap();
        let script = spec.model.take().and_then(|model| model.script);
        let script = script.as_ref().or(default).unwrap();
        let name = format!("script-of-{}", spec.name);
        self.shared.scripts.lock().unwrap().insert(name.clone(), quick(script));
        spec.model = Some(tenure_spec::Model {
            base_url: Some(self.url.clone()),
            ..tenure_spec::Model::of(Provider::Openai, &name)
        });
        canonical(&spec)
    }

    /// How many requests came in.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }
}

fn canonical(spec: &Spec) -> String {
    String::from_utf8(spec.canonical()).unwrap()
}

fn quick(script: &Script) -> Script {
    Script { latency: Span::default(), ..script.clone() }
}

async fn serve(stream: TcpStream, shared: &Shared) {
    let mut stream = BufReader::new(stream);
    let Some(asked) = read(&mut stream).await else { return };
    assert_eq!(asked.line, "POST /v1/chat/completions");
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    shared.asked.lock().unwrap().push(asked.body);
    let name = body["model"].as_str().unwrap();
    let script = shared.scripts.lock().unwrap()[name].clone();
    let reply = Scripted::new(name.into(), script).reply(&request(&body), &Nobody).await;
    let (status, kind, body) = match reply {
        Ok(reply) if body["stream"] == true => (200, "text/event-stream", streamed(&reply)),
        Ok(reply) => (200, "application/json", whole(&reply).to_string()),
        Err(failure) => {
            let error = json!({"error": {"message": failure.message}});
            (400, "application/json", error.to_string())
        }
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    // A client that was killed has closed.
    let _ = stream.write_all(head.as_bytes()).await;
}

fn request(body: &Value) -> Request {
    let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let tools = list("tools").into_iter().map(|tool| Definition {
        name: text(&tool["function"]["name"]),
        description: String::new(),
        parameters: json!({}),
    });
    let messages: Vec<_> = list("messages").iter().map(message).collect();
    Request { messages, tools: tools.collect(), ..Request::default() }
}

fn message(message: &Value) -> Message {
    let said = text(&message["content"]);
    match message["role"].as_str().unwrap() {
        "system" | "developer" => Message::System { text: said },
        "assistant" => {
            let calls = message["tool_calls"].as_array().into_iter().flatten().map(call);
            Message::Assistant { text: said, calls: calls.collect() }
        }
        "tool" => {
            let call = text(&message["tool_call_id"]);
            Message::Tool { call, name: String::new(), text: said }
        }
        _ => Message::User { text: said },
    }
}

fn call(call: &Value) -> ToolCall {
    let arguments = text(&call["function"]["arguments"]);
    ToolCall {
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: serde_json::from_str(&arguments).unwrap(),
        signatures: Vec::new(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Array(parts) => parts.iter().map(|part| text(&part["text"])).collect(),
        value => value.as_str().unwrap_or_default().into(),
    }
}

fn whole(reply: &Reply) -> Value {
    let message = json!({
        "role": "assistant",
        "content": reply.text,
        "tool_calls": (!reply.calls.is_empty()).then(|| calls(reply)),
    });
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": reply.usage.model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish(reply)}],
        "usage": usage(reply),
    })
}

fn streamed(reply: &Reply) -> String {
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": reply.usage.model,
            "choices": choices,
            "usage": usage,
        })
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), Value::Null)
    };
    let mut chunks = vec![delta(json!({"role": "assistant", "content": reply.text}), Value::Null)];
    if !reply.calls.is_empty() {
        chunks.push(delta(json!({"tool_calls": calls(reply)}), Value::Null));
    }
    chunks.push(delta(json!({}), finish(reply).into()));
    chunks.push(chunk(json!([]), usage(reply)));
    let lines = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
    lines.chain(["data: [DONE]\n\n".into()]).collect()
}

fn calls(reply: &Reply) -> Value {
    let calls = reply.calls.iter().enumerate().map(|(index, call)| {
        json!({
            "index": index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments.to_string()},
        })
    });
    calls.collect()
}

fn finish(reply: &Reply) -> &'static str {
    if reply.calls.is_empty() { "stop" } else { "tool_calls" }
}

fn usage(reply: &Reply) -> Value {
    let (input, output) = (reply.usage.input_tokens, reply.usage.output_tokens);
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
}
