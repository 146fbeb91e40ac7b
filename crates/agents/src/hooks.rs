//! Hooks: services outside that graphs call by a name, in contenox's protocol.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_sdk::Failure;
use tenure_spec::DataType;

/// The code of a failure that leaves open whether the hook has done anything.
pub const LOST: &str = "hook_lost";
/// Bytes of an answer that are read.
const ANSWER: usize = tenure_sdk::limits::PAYLOAD;

/// The hooks that a worker knows.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// Calls the hook that `call.args` names. `idempotency_key` is the same for every repetition
    /// of this call. An answer with an `error` is a failure.
    async fn call(&self, call: &HookCall, idempotency_key: &str) -> Result<HookAnswer, Failure>;
}

/// What a hook is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookCall {
    /// When the run began, as RFC 3339.
    pub starting_time: String,
    /// The input of the node.
    pub input: Value,
    /// What the input is.
    pub data_type: DataType,
    /// Empty; hooks of contenox's own time expect it.
    pub transition: String,
    /// The hook's name, and what the node gives it.
    pub args: HookArgs,
}

/// Which hook, and with what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HookArgs {
    /// Its name.
    pub name: String,
    /// What the node gives it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

/// What a hook answers. It is what the journal keeps of the call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HookAnswer {
    /// The output of the node.
    pub output: Value,
    /// Name of the [`DataType`] that the output is to be read as.
    pub data_type: String,
    /// What the transitions of the node look at.
    pub transition: String,
    /// Why it failed; empty if it did not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// Where a hook is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    /// The name that graphs call it by.
    pub name: String,
    /// Where it is sent to.
    pub endpoint_url: String,
    /// The HTTP method.
    pub method: String,
    /// Milliseconds that a call may take.
    pub timeout_ms: u64,
}

impl Hook {
    /// The hooks of a JSON list.
    pub fn list(json: &[u8]) -> Result<Vec<Self>, String> {
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }
}

/// Hooks that are reached over HTTP.
pub struct RemoteHooks {
    hooks: BTreeMap<String, Target>,
    client: reqwest::Client,
}

struct Target {
    url: Url,
    method: Method,
    timeout: Duration,
}

impl RemoteHooks {
    /// These hooks; the error names one that cannot be called.
    pub fn new(hooks: &[Hook], client: reqwest::Client) -> Result<Self, String> {
        let target = |hook: &Hook| {
            let wrong = |why: &dyn Display| format!("hook `{}`: {why}", hook.name);
            let url = Url::parse(&hook.endpoint_url).map_err(|error| wrong(&error))?;
            let method =
                Method::from_bytes(hook.method.as_bytes()).map_err(|error| wrong(&error))?;
            if hook.timeout_ms == 0 {
                return Err(wrong(&"`timeoutMs` must be above zero"));
            }
            let timeout = Duration::from_millis(hook.timeout_ms);
            Ok((hook.name.clone(), Target { url, method, timeout }))
        };
        let hooks = hooks.iter().map(target).collect::<Result<_, String>>()?;
        Ok(Self { hooks, client })
    }

    fn unknown(&self, name: &str) -> Failure {
        let known: Vec<_> = self.hooks.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        let message = format!("the worker knows no hook `{name}`; it knows: {known}");
        Failure::permanent("hook_unknown", message)
    }
}

#[async_trait]
impl Hooks for RemoteHooks {
    async fn call(&self, call: &HookCall, idempotency_key: &str) -> Result<HookAnswer, Failure> {
        let name = &call.args.name;
        let target = self.hooks.get(name).ok_or_else(|| self.unknown(name))?;
        let request = self.client.request(target.method.clone(), target.url.clone());
        let request = request.timeout(target.timeout).header("idempotency-key", idempotency_key);
        let failed = |error: reqwest::Error| {
            let error = error.without_url();
            let code = if error.is_connect() { "hook_failed" } else { LOST };
            Failure::retryable(code, format!("hook `{name}`: {error}"))
        };
        let response = request.json(call).send().await.map_err(failed)?;
        let status = response.status();
        let body = response.bytes().await.map_err(failed)?;
        if !status.is_success() {
            let start: String = String::from_utf8_lossy(&body).chars().take(500).collect();
            let message = format!("hook `{name}` answered {status}: {start}");
            return Err(Failure::retryable("hook_failed", message));
        }
        read(name, &body)
    }
}

fn read(name: &str, body: &[u8]) -> Result<HookAnswer, Failure> {
    let wrong = |why: String| Failure::retryable("hook_answer", format!("hook `{name}`: {why}"));
    if body.len() > ANSWER {
        return Err(wrong(format!("it answered more than {ANSWER} bytes")));
    }
    let answer: HookAnswer = serde_json::from_slice(body)
        .map_err(|error| wrong(format!("its answer cannot be read: {error}")))?;
    answer.checked(name)
}

impl HookAnswer {
    /// The answer, if the hook does not say that it failed.
    pub fn checked(self, name: &str) -> Result<Self, Failure> {
        if self.error.is_empty() {
            return Ok(self);
        }
        Err(Failure::retryable("hook_failed", format!("hook `{name}`: {}", self.error)))
    }
}
