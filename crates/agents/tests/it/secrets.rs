//! NO-SECRET: a key is in no journal, no failure and no log.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tenure_agents::{ModelConfig, Secret};
use tracing_subscriber::fmt::MakeWriter;

use crate::double::{Answer, Double, json as answer};
use crate::rig::{Nobody, Rig, failure};

const CANARY: &str = "sk-canary-0123456789-abcdefghij";
/// Half of it would still be too much.
const PART: &str = "canary-0123456789";

/// The log of this test's thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn config() -> ModelConfig {
    let key = Some(Secret::new(CANARY));
    ModelConfig {
        openai_key: key.clone(),
        anthropic_key: key.clone(),
        gemini_key: key,
        ollama_host: None,
        key_hosts: vec!["127.0.0.1".into()],
        ..ModelConfig::default()
    }
}

/// Ways of a provider to give a key away: in JSON, in HTML, and just where a quotation ends.
fn indiscretions() -> Vec<Answer> {
    let error = |text: String| json!({"error": {"message": text}});
    let html = vec![("content-type", "text/html".into())];
    vec![
        answer(500, &error(format!("overloaded, dear {CANARY}"))),
        answer(429, &error(format!("{}{CANARY}", "x".repeat(455)))),
        (200, html, format!("<p>{}{CANARY}", "x".repeat(480))),
        answer(401, &error(format!("{}{CANARY} is no key", "y".repeat(460)))),
    ]
}

#[tokio::test]
async fn no_key_is_in_a_journal_a_failure_or_a_log() {
    for provider in ["openai", "anthropic", "gemini"] {
        let log = Log::default();
        let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        let lines = lines.with_ansi(false).with_writer(log.clone()).finish();
        let _listening = tracing::subscriber::set_default(lines);

        let server = Double::start(indiscretions()).await;
        let model = format!("{{provider: {provider}, name: acme, base_url: '{}'}}", server.url);
        let retry = "{attempts: 4, backoff: 0ms}";
        let rig = Rig::with(&[]).await;
        rig.publish(&format!("{{name: sample, model: {model}, retry: {retry}}}")).await;
        rig.work(config(), Arc::new(Nobody));
        let run = rig.app.create("sample", "null").await;
        let run = rig.app.ended(&run).await;

        assert_eq!(failure(&run).code, "model_http_401");
        assert_eq!(server.asked().len(), 4);
        assert!(format!("{:?}", server.asked()).contains(CANARY), "the canary was sent");
        let journal = format!("{:?}", rig.app.journal(&run.id).await);
        let log = log.text();
        assert_eq!(log.matches("attempt failed: ").count(), 3, "it is this log");
        for (place, text) in [("journal", journal), ("failure", format!("{run:?}")), ("log", log)] {
            let line = text.lines().find(|line| line.contains(PART));
            assert_eq!(line, None, "{provider}: {place}");
        }
    }
}
