//! One attempt of a node.

use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Failure, Retry, Step, Stop};
use tenure_spec::DataType;
use tenure_spec::graph::{Action, Candidates, GraphNode, Hook, OpenaiResponse, Prompt};

use super::chat::{self, Chat};
use super::data::{Data, vector};
use super::{Machine, State, key_part, parse};
use crate::hooks::{HookAnswer, HookArgs, HookCall};
use crate::model::{Asked, Message, Reply, Request, Wanted};

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
    fn with(failure: Failure, outcome: Outcome) -> Self {
        Self { failure, output: outcome.output, value: outcome.value }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, output: Data::nothing(), value: String::new() }
    }
}

/// An attempt that ended, one way or the other.
type Made = Result<Outcome, Failed>;

/// The visit of a node that an attempt belongs to.
struct Visit<'a> {
    node: &'a GraphNode,
    input: &'a Data,
    scope: &'a Context,
    attempt: u32,
}

impl Machine<'_> {
    /// Does what the node says, once.
    pub(super) async fn attempt(
        &self,
        node: &GraphNode,
        input: &Data,
        scope: &Context,
        attempt: u32,
        state: &mut State,
    ) -> Result<Made, Stop> {
        let visit = Visit { node, input, scope, attempt };
        match &node.action {
            Action::Pass => Ok(Ok(passed(input, "noop"))),
            Action::Command => Ok(command(input)),
            Action::Fail => Ok(Err(failing(input).into())),
            Action::Prompt(prompt) => self.prompt(&visit, prompt, state).await,
            Action::Chat(chat) => self.chat(&visit, chat, state).await,
            Action::Embed(embed) => self.embed(&visit, &embed.model, state).await,
            Action::Hook(hook) => self.hook(&visit, hook, state).await,
            Action::OpenaiResponse(response) => self.respond(&visit, response).await,
        }
    }

    async fn prompt(
        &self,
        visit: &Visit<'_>,
        prompt: &Prompt,
        state: &mut State,
    ) -> Result<Made, Stop> {
        let text = match visit.input.text() {
            Ok(text) => text,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let empty = || parse::empty(&prompt.parse);
        if text.is_empty() {
            return Ok(Err(Failed::with(no_text(), empty())));
        }
        let request = Request {
            system: prompt.system.clone(),
            messages: vec![Message::user(text)],
            tools: Vec::new(),
        };
        let reply = self.ask(visit, &prompt.model, &request, state).await?;
        Ok(reply.map_err(|failure| Failed::with(failure, empty())).and_then(|reply| {
            parse::apply(&prompt.parse, reply.text.trim())
                .map_err(|why| Failed::with(Failure::permanent("graph_reply", why), empty()))
        }))
    }

    async fn chat(
        &self,
        visit: &Visit<'_>,
        node: &tenure_spec::graph::Chat,
        state: &mut State,
    ) -> Result<Made, Stop> {
        let Some(mut chat) = Chat::of(visit.input) else {
            return Ok(Err(no_conversation(visit.input).into()));
        };
        chat.instruct(&node.system);
        let count = |text: &str| self.routes.router.tokens(text);
        if chat.input_tokens == 0 {
            chat.input_tokens = chat.messages.iter().map(|said| count(&chat::content(said))).sum();
        }
        if let Some(limit) = self.graph.token_limit.filter(|limit| chat.input_tokens > *limit) {
            return Ok(Err(too_long(chat.input_tokens, limit).into()));
        }
        let candidates = chat::candidates(&node.model, visit.input);
        let request = Request { messages: chat.request(), ..Request::default() };
        let reply = match self.ask(visit, &candidates, &request, state).await? {
            Ok(reply) => reply,
            Err(failure) => return Ok(Err(failure.into())),
        };
        chat.output_tokens = count(&reply.text);
        chat.messages.push(chat::said("assistant", &reply.text));
        Ok(Ok(Outcome { output: chat.data(), value: "executed".into() }))
    }

    /// Asks a model; the reply is recorded.
    async fn ask(
        &self,
        visit: &Visit<'_>,
        candidates: &Candidates,
        request: &Request,
        state: &mut State,
    ) -> Result<Result<Reply, Failure>, Stop> {
        state.budget.admit(visit.scope).await?;
        let step = visit.step("model", EntryKind::Model);
        let step = step.input(&(&request.system, &request.messages));
        let wanted = self.wanted(visit, candidates);
        let reply = step.run_metered(async |_| {
            let reply = self.routes.router.reply(&wanted, request).await?;
            let usage = reply.usage.clone();
            Ok((reply, usage))
        });
        let reply: Result<Reply, Failure> = caught(reply.await)?;
        if let Ok(reply) = &reply {
            state.budget.spend(&reply.usage);
        }
        Ok(reply.and_then(whole))
    }

    async fn embed(
        &self,
        visit: &Visit<'_>,
        candidates: &Candidates,
        state: &mut State,
    ) -> Result<Made, Stop> {
        let text = match visit.input.text() {
            Ok(text) => text,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let outcome = |numbers: &[f64]| Outcome { output: vector(numbers), value: "ok".into() };
        if text.is_empty() {
            return Ok(Err(Failed::with(no_text(), outcome(&[]))));
        }
        state.budget.admit(visit.scope).await?;
        let wanted = self.wanted(visit, candidates);
        let step = visit.step("embed", EntryKind::Model).input(&text);
        let made = step.run_metered(async |_| self.routes.router.embed(&wanted, &text).await);
        let made: Result<Vec<f64>, Failure> = caught(made.await)?;
        Ok(made
            .map(|numbers| outcome(&numbers))
            .map_err(|failure| Failed::with(failure, outcome(&[]))))
    }

    fn wanted<'w>(&'w self, visit: &Visit<'_>, candidates: &'w Candidates) -> Wanted<'w> {
        let kind = match visit.node.action {
            Action::Chat(_) => Asked::Chat,
            Action::Embed(_) => Asked::Vector,
            _ => Asked::Prompt,
        };
        Wanted { kind, candidates, default: self.spec.model.as_ref(), attempt: visit.attempt }
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
        Ok(answer.and_then(answered).map_err(Failed::from))
    }

    /// When the run began, as hooks are told it.
    async fn began(&self, state: &mut State) -> Result<String, Stop> {
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
    /// A step of one try: the graph tries again itself, and records each attempt.
    fn step(&self, name: &str, kind: EntryKind) -> Step<'static> {
        let step = self.scope.step(name).kind(kind).retry(Retry::NONE);
        match self.node.timeout {
            Some(timeout) => step.timeout(timeout.0),
            None => step,
        }
    }
}

/// A step's failure is the attempt's; everything else ends the execution.
fn caught<T>(result: Result<T, Stop>) -> Result<Result<T, Failure>, Stop> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Failed(failure)) => Ok(Err(failure)),
        Err(stop) => Err(stop),
    }
}

fn whole(reply: Reply) -> Result<Reply, Failure> {
    if reply.cut {
        let message = "the reply was cut at the model's limit of tokens; raise `max_tokens`";
        return Err(Failure::permanent("model_reply_cut", message));
    }
    Ok(reply)
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

fn no_text() -> Failure {
    Failure::permanent("graph_input", "its input is an empty text")
}

fn no_conversation(input: &Data) -> Failure {
    let kind = input.kind.name();
    let message = format!("its input is a `{kind}`; it takes a conversation (`chat_history`)");
    Failure::permanent("graph_input", message)
}

fn too_long(tokens: u64, limit: u64) -> Failure {
    let message =
        format!("the conversation has {tokens} tokens, more than the {limit} of `token_limit`");
    Failure::permanent("graph_tokens", message)
}
