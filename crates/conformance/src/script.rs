//! A model and hooks that play a script, and keep what they were asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tenure_agents::Hooks;
use tenure_agents::hooks::{HookAnswer, HookCall};
use tenure_agents::model::{Listener, Message, Reply, Request, Router, Wanted};
use tenure_sdk::{Failure, Usage};

use crate::case::{Case, Line};

/// The vector of every text.
const VECTOR: [f64; 3] = [0.1, 0.2, 0.3];

/// The script of the case that is being run.
#[derive(Default)]
pub(crate) struct Script(Mutex<Play>);

#[derive(Default)]
struct Play {
    lines: VecDeque<Line>,
    hooks: BTreeMap<String, VecDeque<Value>>,
    model_calls: Vec<Value>,
    hook_calls: Vec<Value>,
}

impl Script {
    /// Begins a case.
    pub(crate) fn begin(&self, case: &Case) {
        let hooks = case.hooks.iter();
        let hooks = hooks.map(|(name, answers)| (name.clone(), answers.iter().cloned().collect()));
        *self.play() = Play {
            lines: case.model.iter().cloned().collect(),
            hooks: hooks.collect(),
            ..Play::default()
        };
    }

    /// What the model and the hooks were asked.
    pub(crate) fn calls(&self) -> (Vec<Value>, Vec<Value>) {
        let play = self.play();
        (play.model_calls.clone(), play.hook_calls.clone())
    }

    fn play(&self) -> MutexGuard<'_, Play> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self, call: Value) -> Option<Line> {
        let mut play = self.play();
        play.model_calls.push(call);
        play.lines.pop_front()
    }
}

#[async_trait]
impl Router for Script {
    async fn reply(
        &self,
        wanted: &Wanted<'_>,
        request: &Request,
        _: &dyn Listener,
    ) -> Result<Reply, Failure> {
        let line = self.asked(model_call(wanted, request)).unwrap_or_else(|| Line {
            error: Some("the script has no reply left".into()),
            ..Line::default()
        });
        tokio::time::sleep(Duration::from_millis(line.delay_ms)).await;
        match line.error {
            Some(error) => Err(Failure::retryable("scripted", error)),
            None => Ok(Reply { text: line.reply, ..Reply::default() }),
        }
    }

    async fn embed(&self, wanted: &Wanted<'_>, text: &str) -> Result<(Vec<f64>, Usage), Failure> {
        let mut call = json!({"kind": "embed", "prompt": text});
        candidates(&mut call, wanted);
        self.play().model_calls.push(call);
        Ok((VECTOR.into(), Usage::default()))
    }

    fn tokens(&self, text: &str) -> u64 {
        text.split_whitespace().count() as u64
    }
}

/// A call as the corpus writes it: a question without a system message in the conversation is a
/// prompt. The reference's chat calls carry no temperature, so none is written.
fn model_call(wanted: &Wanted<'_>, request: &Request) -> Value {
    let is_prompt = matches!(wanted.kind, tenure_agents::model::Asked::Prompt);
    let mut call = if is_prompt {
        let prompt = request.messages.first().map_or("", Message::text);
        let mut call = json!({"kind": "prompt", "prompt": prompt});
        if !request.system.is_empty() {
            call["system"] = request.system.as_str().into();
        }
        if let Some(temperature) = wanted.candidates.temperature.filter(|it| *it != 0.0) {
            call["temperature"] = temperature.into();
        }
        call
    } else {
        let messages: Vec<_> = request.messages.iter().map(message).collect();
        json!({"kind": "chat", "messages": messages})
    };
    candidates(&mut call, wanted);
    call
}

fn candidates(call: &mut Value, wanted: &Wanted<'_>) {
    let providers: Vec<_> = wanted.candidates.providers.iter().map(|of| of.name()).collect();
    let mut add = |name: &str, list: Value| {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            call[name] = list;
        }
    };
    add("models", json!(wanted.candidates.names));
    add("providers", json!(providers));
}

fn message(message: &Message) -> Value {
    let role = match message {
        Message::System { .. } => "system",
        Message::User { .. } => "user",
        Message::Assistant { .. } => "assistant",
        Message::Tool { .. } => "tool",
    };
    json!({"Role": role, "Content": message.text()})
}

#[async_trait]
impl Hooks for Script {
    async fn call(&self, call: &HookCall, _: &str) -> Result<HookAnswer, Failure> {
        let mut play = self.play();
        play.hook_calls.push(json!({
            "name": call.args.name,
            "args": call.args.args,
            "input": call.input,
            "dataType": call.data_type,
            "transition": call.transition,
        }));
        let Some(answers) = play.hooks.get_mut(&call.args.name) else {
            let message = format!("unknown hook `{}`", call.args.name);
            return Err(Failure::permanent("hook_unknown", message));
        };
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        let answer = answer.unwrap_or_else(|| Map::new().into());
        let answer: HookAnswer = serde_json::from_value(answer)?;
        answer.checked(&call.args.name)
    }
}
