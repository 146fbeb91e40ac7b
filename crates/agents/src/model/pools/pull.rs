//! Pulling models onto Ollama servers, and removing them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use tenure_sdk::Failure;

use super::backend::Backend;
use super::list::{Lister, sent, unreached, with_key};
use crate::model::keys::Secret;
use crate::model::remote::Remotes;

/// How long a pull may take: the largest models are hundreds of gigabytes.
const PULL: Duration = Duration::from_hours(12);
/// How often a pull is told about in the log.
const TOLD: Duration = Duration::from_secs(30);
/// Bytes of one line of a pull.
const LINE: usize = 64 << 10;
/// Characters of an error of the server.
const TOLD_ERROR: usize = 200;
/// Layers of a model that are counted.
const LAYERS: usize = 1_000;

/// One line of a pull.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    status: String,
    error: Option<String>,
    digest: Option<String>,
    #[serde(default)]
    total: u64,
    #[serde(default)]
    completed: u64,
}

/// How much of a model is there.
#[derive(Default)]
struct Progress {
    layers: BTreeMap<String, (u64, u64)>,
    done: bool,
    /// What no message may have.
    key: Option<Secret>,
}

impl Lister {
    /// Pulls a model onto an Ollama server; returns when it is there.
    pub(super) async fn pull(
        &self,
        backend: &Backend,
        remotes: &Remotes,
        model: &str,
        clock: &super::Clock,
    ) -> Result<(), Failure> {
        let endpoint = backend.endpoint(remotes)?;
        let body = json!({"model": model, "stream": true});
        let request = self.http().post(format!("{}api/pull", endpoint.base_url)).json(&body);
        let request = with_key(request.timeout(PULL), backend.declared.provider, &endpoint);
        let mut pieces = sent(request).await?.bytes_stream();
        let (mut rest, mut told) = (Vec::new(), clock.now());
        let mut progress = Progress { key: endpoint.key.clone(), ..Progress::default() };
        while let Some(piece) = pieces.next().await {
            rest.extend_from_slice(&piece.map_err(|error| unreached(&error))?);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                progress.read(&line)?;
            }
            if rest.len() > LINE {
                return Err(broken());
            }
            let percent = progress.percent();
            backend.now().pulling.insert(model.into(), percent);
            if clock.now() >= told + TOLD {
                told = clock.now();
                tracing::info!("backend `{}` pulls `{model}`: {percent} %", backend.name());
            }
        }
        progress.read(&rest)?;
        if progress.done { Ok(()) } else { Err(broken()) }
    }

    /// Removes a model from an Ollama server.
    pub(super) async fn remove(
        &self,
        backend: &Backend,
        remotes: &Remotes,
        model: &str,
    ) -> Result<(), Failure> {
        let endpoint = backend.endpoint(remotes)?;
        let request = self.http().delete(format!("{}api/delete", endpoint.base_url));
        let request = request.json(&json!({"model": model}));
        sent(with_key(request, backend.declared.provider, &endpoint)).await.map(drop)
    }
}

impl Progress {
    fn read(&mut self, line: &[u8]) -> Result<(), Failure> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let line: Line = serde_json::from_slice(line).map_err(|_| broken())?;
        if let Some(error) = line.error {
            let error = self.key.as_ref().map_or(error.clone(), |key| key.remove_from(&error));
            let error: String = error.chars().take(TOLD_ERROR).collect();
            return Err(Failure::retryable("model_not_pulled", error));
        }
        if let Some(digest) = line.digest.filter(|_| self.layers.len() < LAYERS) {
            self.layers.insert(digest, (line.completed, line.total));
        }
        self.done = line.status == "success";
        Ok(())
    }

    /// Of the layers that are known: new ones may make it less.
    fn percent(&self) -> u8 {
        let sum =
            |(a, b): (u64, u64), (c, d): &(u64, u64)| (a.saturating_add(*c), b.saturating_add(*d));
        let (completed, total) = self.layers.values().fold((0, 0), sum);
        let percent = u128::from(completed) * 100 / u128::from(total.max(1));
        u8::try_from(percent).unwrap_or(100).min(100)
    }
}

fn broken() -> Failure {
    Failure::retryable("model_stream_broken", "the pull broke off before its end")
}
