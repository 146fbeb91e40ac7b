//! A model that answers at once, and sees how long it takes until it is asked again.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The model, at an address of its own, as OpenAI's chat completions.
pub(crate) struct Double {
    pub(crate) url: String,
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// When each conversation was answered, by its first message.
    answered: HashMap<String, Instant>,
    /// From an answer to the next question.
    turns: Vec<Duration>,
}

impl Double {
    /// A model that calls a tool in every turn of a conversation but the last.
    pub(crate) async fn start(turns: usize) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let seen = Arc::<Mutex<Seen>>::default();
        let to = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move { serve(stream, turns, &to).await });
            }
        });
        Ok(Self { url: format!("http://{address}/v1"), address, seen })
    }

    /// What was seen since the last time.
    pub(crate) fn seen(&self) -> Vec<Duration> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut seen.turns)
    }

    /// The same questions from a loop that keeps nothing and does nothing.
    pub(crate) async fn bare(&self, count: usize) -> anyhow::Result<Vec<Duration>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let body = json!({"messages": [{"role": "user", "content": "bare"}]}).to_string();
        let length = body.len();
        let request = format!("POST /v1 HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}");
        self.seen();
        for _ in 0..count {
            stream.write_all(request.as_bytes()).await?;
            read(&mut stream).await.context("the double has gone")?;
        }
        Ok(self.seen())
    }
}

/// Answers the questions of one connection.
async fn serve(stream: TcpStream, turns: usize, seen: &Mutex<Seen>) {
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::new(stream);
    while let Some(body) = read(&mut stream).await {
        let now = Instant::now();
        let Ok(request) = serde_json::from_slice::<Value>(&body) else { return };
        let (conversation, number) = place(&request);
        let answer = completion(number, turns);
        let length = answer.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n"
        );
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(before) = seen.answered.remove(&conversation) {
                seen.turns.push(now - before);
            }
            if number + 1 < turns {
                seen.answered.insert(conversation, Instant::now());
            }
        }
        if stream.write_all(&[head.as_bytes(), answer.as_bytes()].concat()).await.is_err() {
            return;
        }
    }
}

/// A message of HTTP, without what its headers say beside the length; `None` at the end.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim().split_once(':') {
            None if line.trim().is_empty() => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

/// Which conversation it is, and how many answers it had.
fn place(request: &Value) -> (String, usize) {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let first = messages.iter().find(|message| message["role"] == "user");
    let answers = messages.iter().filter(|message| message["role"] == "assistant").count();
    (first.map(|message| message["content"].to_string()).unwrap_or_default(), answers)
}

/// The answer as a stream, which is what the worker asks for, in one piece.
fn completion(number: usize, turns: usize) -> String {
    let function = json!({"name": "list_files", "arguments": "{}"});
    let id = format!("call_{number}");
    let call = json!({"index": 0, "id": id, "type": "function", "function": function});
    let (delta, finish) = if number + 1 < turns {
        (json!({"role": "assistant", "tool_calls": [call]}), "tool_calls")
    } else {
        (json!({"role": "assistant", "content": "done"}), "stop")
    };
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15});
    let said = json!({"choices": [{"index": 0, "delta": delta}]});
    let ended = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]});
    let used = json!({"choices": [], "usage": usage});
    format!("data: {said}\n\ndata: {ended}\n\ndata: {used}\n\ndata: [DONE]\n\n")
}
