//! An HTTP server that says what a test wants it to say.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A server that gives each request the next answer, and keeps what it was asked.
pub(crate) struct Double {
    /// Its address without a path, such as `http://127.0.0.1:4000`.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// One request that came in.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Method and path.
    pub(crate) line: String,
    /// Headers by their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What is answered: status, headers, body.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, String);

/// An answer in JSON.
pub(crate) fn json(status: u16, body: &serde_json::Value) -> Answer {
    (status, vec![("content-type", "application/json".into())], body.to_string())
}

impl Double {
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let answers = Mutex::new(VecDeque::from(answers));
        Self::with(move |_| answers.lock().unwrap().pop_front()).await
    }

    /// One that gives each request the answer of a function, and hangs up where it gives none.
    pub(crate) async fn with(
        answer: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (answer, kept) = (Arc::new(answer), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, kept) = (answer.clone(), kept.clone());
                tokio::spawn(async move { serve(stream, &*answer, &kept).await });
            }
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// One request per connection; a server without answers closes it unanswered.
async fn serve(
    stream: TcpStream,
    answer: &(impl Fn(&Asked) -> Option<Answer> + Sync),
    kept: &Mutex<Vec<Asked>>,
) {
    let mut stream = BufReader::new(stream);
    let Some(asked) = read(&mut stream).await else { return };
    kept.lock().unwrap().push(asked.clone());
    let Some((status, headers, body)) = answer(&asked).map(|answer| as_asked(&asked, answer))
    else {
        return;
    };
    let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers = lines.collect::<Vec<_>>().concat();
    let length = if headers.contains("content-length") {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    let head = format!("HTTP/1.1 {status} X\r\n{length}connection: close\r\n{headers}\r\n");
    // A client that has read enough closes early.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body.as_bytes()).await;
}

/// A reply of OpenAI's in the form that was asked for: a test of an interpreter need not know that it
/// asks for streams.
fn as_asked(asked: &Asked, answer: Answer) -> Answer {
    let wants = serde_json::from_str::<Value>(&asked.body).is_ok_and(|body| body["stream"] == true);
    let (status, headers, body) = &answer;
    let broken = headers.iter().any(|(name, _)| *name == "content-length");
    let whole = serde_json::from_str::<Value>(body).unwrap_or_default();
    if !wants || broken || *status != 200 || whole["object"] != "chat.completion" {
        return answer;
    }
    let message = &whole["choices"][0]["message"];
    let calls = message["tool_calls"].as_array().into_iter().flatten().enumerate();
    let calls: Vec<_> = calls
        .map(|(index, call)| {
            let mut call = call.clone();
            call["index"] = index.into();
            call
        })
        .collect();
    let delta = serde_json::json!({"content": message["content"], "tool_calls": calls});
    let finish = &whole["choices"][0]["finish_reason"];
    events(&[
        serde_json::json!({"choices": [{"index": 0, "delta": delta}]}),
        serde_json::json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}),
        serde_json::json!({"choices": [], "usage": whole["usage"]}),
        "[DONE]".into(),
    ])
}

/// A stream of events as OpenAI and Gemini send it.
pub(crate) fn events(data: &[Value]) -> Answer {
    let text = |data: &Value| data.as_str().map_or_else(|| data.to_string(), Into::into);
    let body: Vec<_> = data.iter().map(|data| format!("data: {}\n\n", text(data))).collect();
    let body = body.concat();
    (200, vec![("content-type", "text/event-stream".into())], body)
}

/// An answer that ends before its length, with its connection.
pub(crate) fn cut((status, mut headers, body): Answer) -> Answer {
    headers.push(("content-length", (body.len() + 1).to_string()));
    (status, headers, body)
}

pub(crate) async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        match line.trim() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let (first, rest) = lines.split_first()?;
    let header =
        |line: &String| line.split_once(':').map(|(n, v)| (n.to_lowercase(), v.trim().into()));
    let headers: BTreeMap<String, String> = rest.iter().filter_map(header).collect();
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let line = first.trim_end_matches(" HTTP/1.1").into();
    Some(Asked { line, headers, body: String::from_utf8(body).unwrap() })
}
