//! One attempt of a node.

use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Failure, Retry, Step, Stop};
use tenure_spec::DataType;
use tenure_spec::graph::{Action, GraphNode, Hook, OpenaiResponse};

use super::chat::{self, Chat};
use super::data::Data;
use super::transition::Scene;
use super::{Machine, State, key_part};
use crate::hooks::{HookAnswer, HookArgs, HookCall};

/// What a node gave.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) output: Data,
    /// What the transitions look at.
    pub(super) value: String,
}

/// Why an attempt failed, and what people are shown of it.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    pub(super) output: Data,
    pub(super) value: String,
}

impl Failed {
    pub(super) fn with(failure: Failure, outcome: Outcome) -> Box<Self> {
        Box::new(Self { failure, output: outcome.output, value: outcome.value })
    }
}

impl From<Failure> for Box<Failed> {
    fn from(failure: Failure) -> Self {
        Failed::with(failure, Outcome { output: Data::nothing(), value: String::new() })
    }
}

/// An attempt that ended, one way or the other.
pub(super) type Made = Result<Outcome, Box<Failed>>;

/// The visit of a node that an attempt belongs to.
pub(super) struct Visit<'a> {
    pub(super) node: &'a GraphNode,
    /// What is done: the node's action, or one inside it.
    pub(super) action: &'a Action,
    pub(super) input: &'a Data,
    pub(super) scope: &'a Context,
    pub(super) attempt: u32,
}

impl Machine<'_> {
    /// Does what the node says, once.
    pub(super) async fn attempt(&self, visit: &Visit<'_>, state: &mut State) -> Result<Made, Stop> {
        let input = visit.input;
        match visit.action {
            Action::Pass => Ok(Ok(passed(input, "noop"))),
            Action::Command => Ok(command(input)),
            Action::Fail => Ok(Err(failing(input).into())),
            Action::Prompt(prompt) => self.prompt(visit, prompt, state).await,
            Action::Chat(chat) => self.chat(visit, chat, state).await,
            Action::Embed(embed) => self.embed(visit, &embed.model, state).await,
            Action::Hook(hook) => self.hook(visit, hook, state).await,
            Action::OpenaiResponse(response) => self.respond(visit, response).await,
            Action::Tool(tool) => self.tool(visit, tool, state).await,
            Action::Call(call) => self.call(visit, call, state).await,
            Action::Agent(agent) => self.agent(visit, agent, state).await,
            Action::Interrupt(question) => self.interrupt(visit, question, state).await,
            Action::Map(map) => self.map(visit, map, state).await,
            Action::Parallel(fan) => self.parallel(visit, fan, state).await,
        }
    }

    async fn hook(&self, visit: &Visit<'_>, hook: &Hook, state: &mut State) -> Result<Made, Stop> {
        let call = HookCall {
            starting_time: self.began(state).await?,
            input: visit.input.value.clone(),
            data_type: visit.input.kind,
            transition: String::new(),
            args: HookArgs { name: hook.name.clone(), args: hook.args.clone() },
        };
        let step = visit.step(&format!("hook:{}", key_part(&hook.name)), EntryKind::Tool);
        let step = step.input(&call);
        let hooks = &self.routes.hooks;
        let answer = step.run(async |attempt| hooks.call(&call, &attempt.idempotency_key).await);
        let answer: Result<HookAnswer, Failure> = caught(answer.await)?;
        Ok(answer.and_then(answered).map_err(Box::from))
    }

    /// When the run began, as hooks are told it.
    pub(super) async fn began(&self, state: &mut State) -> Result<String, Stop> {
        if let Some(began) = &state.began {
            return Ok(began.clone());
        }
        let began = self.ctx.now().await?.to_string();
        state.began = Some(began.clone());
        Ok(began)
    }

    async fn respond(&self, visit: &Visit<'_>, response: &OpenaiResponse) -> Result<Made, Stop> {
        let Some(chat) =
            Chat::of(visit.input).filter(|_| visit.input.kind == DataType::ChatHistory)
        else {
            return Ok(Err(no_conversation(visit.input).into()));
        };
        let created = visit.scope.now().await?.micros() / 1_000_000;
        let choice = |last: &Value| {
            let role = last.get("role").cloned().unwrap_or_default();
            let message = json!({"role": role, "content": chat::content(last)});
            json!({"index": 0, "message": message, "finish_reason": "stop"})
        };
        let value = json!({
            "id": format!("chatcmpl-{}", self.ctx.run()),
            "object": "chat.completion",
            "created": created,
            "model": response.model.as_ref().unwrap_or(&chat.model),
            "choices": chat.messages.last().map(choice).into_iter().collect::<Vec<_>>(),
            "usage": {
                "prompt_tokens": chat.input_tokens,
                "completion_tokens": chat.output_tokens,
                "total_tokens": chat.input_tokens + chat.output_tokens,
            },
        });
        let output = Data { kind: DataType::OpenaiChatResponse, value };
        Ok(Ok(Outcome { output, value: "converted".into() }))
    }
}

impl Visit<'_> {
    /// What conditions look at.
    pub(super) fn scene<'s>(
        &'s self,
        output: &'s Data,
        value: &'s str,
        state: &'s State,
    ) -> Scene<'s> {
        Scene { input: self.input, output, value, variables: state.variables.map() }
    }

    /// A step of one try: the graph tries again itself, and records each attempt.
    pub(super) fn step(&self, name: &str, kind: EntryKind) -> Step<'static> {
        let step = self.scope.step(name).kind(kind).retry(Retry::NONE);
        match self.node.timeout {
            Some(timeout) => step.timeout(timeout.0),
            None => step,
        }
    }
}

/// A step's failure is the attempt's; everything else ends the execution.
pub(super) fn caught<T>(result: Result<T, Stop>) -> Result<Result<T, Failure>, Stop> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Failed(failure)) => Ok(Err(failure)),
        Err(stop) => Err(stop),
    }
}

fn passed(input: &Data, value: &str) -> Outcome {
    Outcome { output: input.clone(), value: value.into() }
}

/// `send` for `/send it`; `pass` for a text without a command.
fn command(input: &Data) -> Made {
    let text = input.text()?;
    let Some(command) = text.trim().strip_prefix('/') else {
        let value = if text.is_empty() { "" } else { "pass" };
        return Ok(passed(input, value));
    };
    let word = command.split(' ').next().unwrap_or_default();
    if word.is_empty() {
        let failure = Failure::permanent("graph_input", "its input is `/` without a command");
        return Err(Failed::with(failure, passed(input, "")));
    }
    Ok(passed(input, word))
}

fn failing(input: &Data) -> Failure {
    match input.text() {
        Ok(text) => Failure::permanent("graph_failed", text),
        Err(failure) => failure,
    }
}

/// What a hook answered, if it is of the kind that it says.
fn answered(answer: HookAnswer) -> Result<Outcome, Failure> {
    let wrong =
        |why: String| Failure::permanent("hook_answer", format!("the hook's answer: {why}"));
    let Some(kind) = DataType::named(&answer.data_type) else {
        return Err(wrong(format!("unknown data type `{}`", answer.data_type)));
    };
    let output = Data::convert(kind, answer.output).map_err(wrong)?;
    Ok(Outcome { output, value: answer.transition })
}

pub(super) fn no_conversation(input: &Data) -> Failure {
    let kind = input.kind.name();
    let message = format!("its input is a `{kind}`; it takes a conversation (`chat_history`)");
    Failure::permanent("graph_input", message)
}
