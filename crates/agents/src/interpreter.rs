//! The loop: ask the model, make the calls it wants, tell it the results, until it answers.
//!
//! Everything between two steps follows from the specification and from what is recorded, so a
//! run goes on after a crash as if nothing had happened.

mod agent;
mod answer;
mod budget;
mod conversation;
mod graph;
mod input;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenure_sdk::{Attempt, Context, EntryKind, Payload, Stop, join};

use crate::hooks::{Hook, Hooks, RemoteHooks};
use crate::model::{Message, ModelConfig, Models, Reply, Request, Router, ToolCall};
use crate::tools::{Files, http_request};

use agent::Agent;
use answer::Verdict;
use budget::Budget;
use conversation::{Client, Start};
use tenure_spec::conversation::Answer;

/// What an interpreter needs from the process that runs it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder that file tools can see, and nothing outside it.
    pub files: PathBuf,
    /// How models are reached.
    pub models: ModelConfig,
    /// The hooks that graphs may call.
    pub hooks: Vec<Hook>,
}

impl Settings {
    /// This folder, and no keys: enough for scripted models and local servers.
    pub fn new(files: impl AsRef<Path>) -> Self {
        Self { files: files.as_ref().into(), models: ModelConfig::default(), hooks: Vec::new() }
    }
}

/// Why an interpreter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The folder cannot be opened.
    #[error("the folder `{}` cannot be opened", folder.display())]
    Files {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No HTTP client can be made, for instance because there are no root certificates.
    #[error("no HTTP client can be made: {0}")]
    Http(String),
    /// A hook cannot be called.
    #[error("{0}")]
    Hook(String),
}

/// Executes runs of every agent whose specification it understands. Cloning is cheap.
#[derive(Clone)]
pub struct Interpreter {
    parts: Arc<Shared>,
    routes: Routes,
}

/// Who answers what graphs ask.
#[derive(Clone)]
struct Routes {
    router: Arc<dyn Router>,
    hooks: Arc<dyn Hooks>,
}

/// What all runs of a worker share.
struct Shared {
    files: Files,
    models: Models,
    http: reqwest::Client,
}

impl Interpreter {
    /// An interpreter with these settings. A rustls crypto provider must be installed.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let folder = settings.files;
        let files = Files::open(&folder).map_err(|source| SetupError::Files { folder, source })?;
        let models = Models::new(settings.models).map_err(SetupError::Http)?;
        let http = http_request::client().map_err(|error| SetupError::Http(error.to_string()))?;
        let hooks = RemoteHooks::new(&settings.hooks, http.clone()).map_err(SetupError::Hook)?;
        let routes = Routes { router: Arc::new(models.clone()), hooks: Arc::new(hooks) };
        Ok(Self { parts: Arc::new(Shared { files, models, http }), routes })
    }

    /// The same, with these to answer what graphs ask.
    #[must_use]
    pub fn routed(self, router: Arc<dyn Router>, hooks: Arc<dyn Hooks>) -> Self {
        Self { routes: Routes { router, hooks }, ..self }
    }

    /// Executes one run: the specification comes with the context, the input with the run. The
    /// output is JSON: the text of the final answer, or what `output` in the specification asks for;
    /// of a graph, the output of its last node. A run that is given a conversation
    /// ([`tenure_spec::conversation`]) gives an assistant's message.
    pub async fn run(&self, ctx: Context, input: Payload) -> Result<Payload, Stop> {
        let mut spec = agent::read(ctx.spec()).map_err(Stop::Failed)?;
        if let Some(graph) = &spec.graph {
            return graph::run(&spec, graph, &self.routes, &ctx, &input).await;
        }
        let start = conversation::start(&input, &mut spec).map_err(Stop::Failed)?;
        let agent = Agent::new(spec, &self.parts).map_err(Stop::Failed)?;
        start.check(&agent.tools.definitions()).map_err(Stop::Failed)?;
        match converse(&agent, &ctx, start).await? {
            Ended::Answered(answer) => Ok(Payload::json(serde_json::to_vec(&answer)?)),
            Ended::Said(answer) => Ok(conversation::written(&answer)?),
        }
    }
}

/// What a conversation comes to.
enum Ended {
    /// The final answer.
    Answered(serde_json::Value),
    /// The message for a client that keeps the conversation.
    Said(Answer),
}

/// The whole conversation; gives the final answer, or what a client has to hear.
async fn converse(agent: &Agent, ctx: &Context, start: Start) -> Result<Ended, Stop> {
    let Start { mut messages, client } = start;
    let client = client.as_ref();
    let mut budget = Budget::start(&agent.limits, ctx).await?;
    loop {
        let turn = budget.next_turn(ctx).await?;
        let mut reply = ask(agent, client, &turn, &messages).await?;
        budget.spend(&reply.usage);
        if reply.cut && client.is_some() {
            return Ok(Ended::Said(conversation::cut(reply)));
        }
        messages.push(said(&reply));
        let theirs = handed_over(client, &mut reply);
        if !reply.calls.is_empty() {
            messages.extend(call(agent, &turn, &reply, &mut budget).await?);
        }
        if !theirs.is_empty() {
            return Ok(Ended::Said(conversation::handed(reply.text, theirs)));
        }
        if !reply.calls.is_empty() {
            continue;
        }
        if let Some(complaint) = client.and_then(Client::complaint) {
            messages.push(Message::user(complaint));
            continue;
        }
        match answer::judge(agent.output.as_ref(), &turn, &reply.text).await? {
            Verdict::Final(answer) if client.is_some() => {
                return Ok(Ended::Said(conversation::said(answer)));
            }
            Verdict::Final(answer) => return Ok(Ended::Answered(answer)),
            Verdict::Wrong(problem) => messages.push(Message::user(problem)),
        }
    }
}

/// Takes out of a reply the calls that are the client's to make.
fn handed_over(client: Option<&Client>, reply: &mut Reply) -> Vec<ToolCall> {
    let Some(client) = client else { return Vec::new() };
    let calls = std::mem::take(&mut reply.calls);
    let (theirs, ours) = calls.into_iter().partition(|call| client.makes(call));
    reply.calls = ours;
    theirs
}

/// Asks the model for its next message. The fingerprint is that of the conversation: a replay that
/// comes to this turn with another one must not be given this reply.
async fn ask(
    agent: &Agent,
    client: Option<&Client>,
    turn: &Context,
    messages: &[Message],
) -> Result<Reply, Stop> {
    let theirs = client.map(Client::tools).unwrap_or_default();
    let request = Request {
        system: agent.system.clone(),
        messages: messages.to_vec(),
        tools: [agent.tools.definitions().as_slice(), theirs].concat(),
        output: agent.output.as_ref().map(|output| output.schema().clone()),
    };
    let step = turn.step("model").kind(EntryKind::Model).input(&messages).retry(agent.retry);
    let reply = step.run_metered(async |attempt: Attempt| {
        crate::ask(&*agent.model, &request, &attempt.publisher).await
    });
    let reply: Reply = reply.await?;
    if reply.cut && client.is_none() {
        let message = "the reply was cut at the model's limit of tokens; raise `model.max_tokens`";
        return Err(Stop::failed("model_reply_cut", message));
    }
    Ok(reply)
}

fn said(reply: &Reply) -> Message {
    Message::Assistant { text: reply.text.clone(), calls: reply.calls.clone() }
}

/// Makes all calls of a reply at the same time, and gives their results in the reply's order.
async fn call(
    agent: &Agent,
    turn: &Context,
    reply: &Reply,
    budget: &mut Budget,
) -> Result<Vec<Message>, Stop> {
    // Opened in order, before any of them runs: a call's place must not depend on timing.
    let scopes = (0..reply.calls.len()).map(|place| turn.scope(&format!("call/{place}")));
    let scopes = scopes.collect::<Result<Vec<_>, _>>()?;
    let calls = scopes.iter().zip(&reply.calls);
    let results = join(calls.map(|(scope, call)| agent.tools.call(scope, call))).await?;
    let tell = |(message, usage)| {
        budget.spend(&usage);
        message
    };
    Ok(results.into_iter().map(tell).collect())
}
