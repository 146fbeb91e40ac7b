//! The loop: ask the model, make the calls it wants, tell it the results, until it answers.
//!
//! Everything between two steps follows from the specification and from what is recorded, so a
//! run goes on after a crash as if nothing had happened.

mod agent;
mod answer;
mod budget;
mod control;
mod graph;
mod input;
mod team;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenure_sdk::{Context, EntryKind, Payload, Stop, Usage, join};
use tenure_spec::Policy;

use crate::hooks::{Hook, Hooks, RemoteHooks};
use crate::model::{Message, ModelConfig, Models, Reply, Request, Router, ToolCall};
use crate::tools::{Files, http_request};

use agent::Agent;
use answer::Verdict;
use budget::{Budget, Turn};
use control::{Control, Uncontrolled};

/// What an interpreter needs from the process that runs it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder that file tools can see, and nothing outside it.
    pub files: PathBuf,
    /// How models are reached.
    pub models: ModelConfig,
    /// The hooks that graphs may call.
    pub hooks: Vec<Hook>,
    /// The programs that tools may start, by the name or path that a specification gives; none
    /// unless listed.
    pub programs: Vec<String>,
    /// What tools may do at most, whatever the policy of an agent says.
    pub policy: Option<Policy>,
}

impl Settings {
    /// This folder, and no keys: enough for scripted models and local servers.
    pub fn new(files: impl AsRef<Path>) -> Self {
        Self {
            files: files.as_ref().into(),
            models: ModelConfig::default(),
            hooks: Vec::new(),
            programs: Vec::new(),
            policy: None,
        }
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
    programs: Arc<[String]>,
    policy: Option<Arc<Policy>>,
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
        let programs = settings.programs.into();
        let policy = settings.policy.map(Arc::new);
        Ok(Self { parts: Arc::new(Shared { files, models, http, programs, policy }), routes })
    }

    /// The same, with these to answer what graphs ask.
    #[must_use]
    pub fn routed(self, router: Arc<dyn Router>, hooks: Arc<dyn Hooks>) -> Self {
        Self { routes: Routes { router, hooks }, ..self }
    }

    /// Executes one run: the specification comes with the context, the input with the run. The
    /// output is JSON: the text of the final answer, or what `output` in the specification asks for;
    /// of a graph, the output of its last node; of a team, what was said last, or all of it.
    pub async fn run(&self, ctx: Context, input: Payload) -> Result<Payload, Stop> {
        let spec = agent::read(ctx.spec()).map_err(Stop::Failed)?;
        if let Some(graph) = &spec.graph {
            return graph::run(&spec, graph, self, &ctx, &input).await;
        }
        if let Some(team) = &spec.team {
            return team::run(&spec, team, self, &ctx, &input).await;
        }
        let agent = Agent::open(spec, &self.parts).map_err(Stop::Failed)?;
        let input = vec![Message::user(input::text(&input).map_err(Stop::Failed)?)];
        let mut budget = Budget::start(&agent.limits, &ctx).await?;
        let mut budgets = [&mut budget];
        let answer = converse(&agent, &ctx, input, &mut budgets, &mut Uncontrolled).await?;
        Ok(Payload::json(serde_json::to_vec(&answer)?))
    }
}

/// What a model is told when it gets its last turn.
const WRAP_UP: &str = "A limit of this run is reached and no tool can be called any more. Answer now, with what you have.";

/// The whole conversation, from these messages on; gives the final answer. Each turn is taken from all
/// of the budgets. The loop ends at the latest where they do.
async fn converse(
    agent: &Agent,
    ctx: &Context,
    mut messages: Vec<Message>,
    budgets: &mut [&mut Budget],
    control: &mut dyn Control,
) -> Result<serde_json::Value, Stop> {
    for number in 0.. {
        let turn = next_turn(ctx.scope(&format!("turn/{number}"))?, budgets).await?;
        if turn.last {
            messages.push(Message::user(WRAP_UP));
        }
        let reply = ask(agent, &turn, &messages, control).await?;
        spend(budgets, &reply.usage);
        messages.push(said(&reply));
        if !reply.calls.is_empty() && !turn.last {
            messages.extend(call(agent, &turn, &reply, budgets, control).await?);
            if control.is_over() {
                return Ok(reply.text.into());
            }
            continue;
        }
        match answer::judge(agent.output.as_ref(), &turn.scope, &reply.text).await? {
            Verdict::Final(answer) => return Ok(answer),
            Verdict::Wrong(problem) => messages.push(Message::user(problem)),
        }
    }
    Err(Stop::failed("limit_turns", "the run has had all turns that can be counted"))
}

async fn next_turn(scope: Context, budgets: &mut [&mut Budget]) -> Result<Turn, Stop> {
    let mut turn = Turn { scope, last: false };
    for budget in budgets.iter_mut() {
        turn.last |= budget.next_turn(&turn.scope).await?;
    }
    Ok(turn)
}

fn spend(budgets: &mut [&mut Budget], usage: &Usage) {
    for budget in budgets.iter_mut() {
        budget.spend(usage);
    }
}

/// Asks the model for its next message. The fingerprint is that of the conversation: a replay that
/// comes to this turn with another one must not be given this reply.
async fn ask(
    agent: &Agent,
    turn: &Turn,
    messages: &[Message],
    control: &dyn Control,
) -> Result<Reply, Stop> {
    let tools = || [agent.tools.definitions(), control.definitions()].concat();
    let request = Request {
        system: agent.system.clone(),
        messages: messages.to_vec(),
        tools: if turn.last { Vec::new() } else { tools() },
    };
    let step = turn.scope.step("model").kind(EntryKind::Model).input(&messages).retry(agent.retry);
    let reply: Reply = step.run_metered(|_| crate::ask(&*agent.model, &request)).await?;
    if reply.cut {
        let message = "the reply was cut at the model's limit of tokens; raise `model.max_tokens`";
        return Err(Stop::failed("model_reply_cut", message));
    }
    Ok(reply)
}

fn said(reply: &Reply) -> Message {
    Message::Assistant { text: reply.text.clone(), calls: reply.calls.clone() }
}

/// Makes all calls of a reply, and gives their results in the reply's order.
async fn call(
    agent: &Agent,
    turn: &Turn,
    reply: &Reply,
    budgets: &mut [&mut Budget],
    control: &mut dyn Control,
) -> Result<Vec<Message>, Stop> {
    let mut made = Vec::with_capacity(reply.calls.len());
    let mut open = Vec::new();
    for (place, call) in reply.calls.iter().enumerate() {
        let taken = control.take(call);
        if taken.is_none() {
            // Opened in order, before any of them runs: a call's place must not depend on timing.
            open.push((turn.scope.scope(&format!("call/{place}"))?, call));
        }
        made.push(taken.map(|result| call.result(&result)));
    }
    let mut results = call_tools(agent, turn, &open, budgets).await?.into_iter();
    Ok(made.into_iter().filter_map(|made| made.or_else(|| results.next())).collect())
}

/// Makes these calls of tools at the same time.
async fn call_tools(
    agent: &Agent,
    turn: &Turn,
    open: &[(Context, &ToolCall)],
    budgets: &mut [&mut Budget],
) -> Result<Vec<Message>, Stop> {
    let metered = agent.tools.metered(open.iter().map(|(_, call)| *call));
    for budget in budgets.iter_mut() {
        if !open.is_empty() && !budget.admit_calls(&turn.scope, open.len(), metered).await? {
            return Ok(open.iter().map(|(_, call)| call.not_made()).collect());
        }
    }
    let calls = open.iter().map(|(scope, call)| agent.tools.call(scope, call));
    let tell = |(message, usage)| {
        spend(budgets, &usage);
        message
    };
    Ok(join(calls).await?.into_iter().map(tell).collect())
}
