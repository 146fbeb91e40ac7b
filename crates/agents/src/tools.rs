//! Tools: what the stock interpreter lets a model do.
//!
//! A tool that fails does not fail the run: its failure is recorded and told to the model as a
//! result of the form `{"error": "…"}`, and the model decides what to do about it. To add a tool:
//! a file below with a type that implements [`Tool`], a variant in the specification, and a line
//! in [`open`]. A source of several tools says in a step of its own which it has, so that a run
//! keeps them whatever becomes of the source.

pub mod agent;
pub mod command;
pub mod digest_file;
pub mod edit_file;
pub mod files;
pub mod guard;
pub mod hook;
pub mod http_request;
pub mod list_artifacts;
pub mod list_files;
pub mod mcp;
pub mod offer;
mod openapi;
pub mod read_artifact;
pub mod read_file;
pub mod search_files;
pub mod time;
pub mod todo;
pub mod write_artifact;
pub mod write_file;

use std::sync::Arc;

use async_trait::async_trait;
use jsonschema::Validator;
use serde::Serialize;
use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Failure, Retry, Step, Stop, Usage};
use tenure_spec::{AgentTool, Effect};

use crate::hooks::Hooks;
use crate::mcp::Servers;
use crate::model::{Definition, Message, Model, ToolCall};
use crate::secrets::ToolSecrets;
use crate::tenants::Tenants;

pub use files::Files;
pub use guard::Guard;

/// Something that a model can have done.
#[async_trait]
pub trait Tool: Send + Sync {
    /// What the model is told about it.
    fn definition(&self) -> Definition;

    /// What a call does to the world. A tool that must not happen twice makes its step
    /// [`once`](tenure_sdk::Step::once).
    fn effect(&self) -> Effect {
        Effect::Idempotent
    }

    /// What a call with these arguments does: less than [`effect`](Self::effect), if they say so.
    fn effect_of(&self, _arguments: &Value) -> Effect {
        self.effect()
    }

    /// Whether a call asks models, and so costs money.
    fn is_metered(&self) -> bool {
        false
    }

    /// Does it. `ctx` is a scope of the call's own, `arguments` satisfy the definition's schema.
    /// Effects belong into steps of `ctx`, the first being called [`step_name`]. A
    /// [`Stop::Failed`] is told to the model.
    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop>;
}

/// What a call of a tool gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The result, for the model; or why there is none, although something was consumed.
    pub result: Result<Value, Failure>,
    /// What models and called agents consumed on the way.
    pub usage: Usage,
    /// Who goes on with the conversation, if it is handed over.
    pub transfer: Option<AgentTool>,
}

impl From<Value> for Output {
    fn from(value: Value) -> Self {
        Self { result: Ok(value), usage: Usage::default(), transfer: None }
    }
}

/// What tools are made of; one per worker, except for the model and the retry rule of the agent.
#[derive(Clone)]
pub struct Parts {
    /// The folder of the file tools.
    pub files: Files,
    /// The client of [`http_request`].
    pub http: reqwest::Client,
    /// The agent's model.
    pub model: Arc<dyn Model>,
    /// How often a step may try.
    pub retry: Retry,
    /// What commands may do.
    pub permits: command::Permits,
    /// The MCP servers that the worker is connected to.
    pub servers: Arc<Servers>,
    /// The hooks that the worker knows.
    pub hooks: Arc<dyn Hooks>,
    /// The secrets that tools may use.
    pub secrets: ToolSecrets,
    /// The tenants whose runs the tools work for.
    pub tenants: Arc<Tenants>,
}

/// The tools of one agent.
pub struct Toolbox {
    tools: Vec<Checked>,
    guard: Guard,
}

struct Checked {
    tool: Box<dyn Tool>,
    definition: Definition,
    arguments: Validator,
}

impl Toolbox {
    /// The tools that a specification lists.
    pub async fn open(
        ctx: &Context,
        tools: &[tenure_spec::Tool],
        parts: &Parts,
        guard: Guard,
    ) -> Result<Self, Stop> {
        let mut opened: Vec<Checked> = Vec::new();
        for tool in tools {
            for tool in open(ctx, tool, parts).await? {
                let tool = Checked::new(tool).map_err(Stop::Failed)?;
                let name = &tool.definition.name;
                if opened.iter().any(|other| other.definition.name == *name) {
                    return Err(Stop::failed(
                        "tool_twice",
                        format!("two tools are called `{name}`"),
                    ));
                }
                opened.push(tool);
            }
        }
        Ok(Self { tools: opened, guard })
    }

    /// What the model is told about each tool, in the specification's order.
    pub fn definitions(&self) -> Vec<Definition> {
        self.tools.iter().map(|checked| checked.definition.clone()).collect()
    }

    /// The policies that calls are under.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// How many of these calls ask models, and so cost money.
    pub fn metered<'c>(&self, calls: impl IntoIterator<Item = &'c ToolCall>) -> usize {
        let metered =
            |call: &&ToolCall| self.named(&call.name).is_some_and(|named| named.tool.is_metered());
        calls.into_iter().filter(metered).count()
    }

    fn named(&self, name: &str) -> Option<&Checked> {
        self.tools.iter().find(|tool| tool.definition.name == name)
    }

    /// Makes one call in a scope of its own, and gives the message that tells the model beside the
    /// rest of what it gave. `guarded` is what was recorded of whether the tenant has a policy:
    /// without any policy nothing has to be decided, and written down.
    pub async fn call(
        &self,
        ctx: &Context,
        call: &ToolCall,
        guarded: bool,
    ) -> Result<(Message, Output), Stop> {
        let output = match self.attempt(ctx, call, guarded).await {
            Err(Stop::Failed(failure)) => Output { result: Err(failure), ..Value::Null.into() },
            output => output?,
        };
        let told = |failure: &Failure| json!({"error": failure.message});
        let message = match &output.result {
            Ok(value) => call.result(value),
            Err(failure) => call.result(&told(failure)),
        };
        Ok((message, output))
    }

    /// Makes one call that no model asked for, in a scope of its own, and gives what the tool gave.
    pub async fn output(&self, ctx: &Context, call: &ToolCall) -> Result<Output, Stop> {
        self.attempt(ctx, call, true).await
    }

    async fn attempt(&self, ctx: &Context, call: &ToolCall, guarded: bool) -> Result<Output, Stop> {
        let Some(checked) = self.named(&call.name) else {
            // The name is the model's invention and may not be fit for a key.
            return fail(ctx, "tool:unknown", &call.arguments, &self.unknown(&call.name)).await;
        };
        if let Some(failure) = checked.problems(&call.arguments) {
            return fail(ctx, &step_name(&call.name), &call.arguments, &failure).await;
        }
        let (definition, effect) = (&checked.definition, checked.tool.effect_of(&call.arguments));
        let arguments =
            self.guard.admit(ctx, guarded, definition, effect.name(), &call.arguments).await?;
        checked.tool.call(ctx, &arguments).await
    }

    fn unknown(&self, name: &str) -> Failure {
        let known: Vec<_> = self.tools.iter().map(|tool| tool.definition.name.as_str()).collect();
        let name: String = name.chars().take(64).collect();
        let known = known.join(", ");
        Failure::permanent("tool_unknown", format!("there is no tool `{name}`; there are: {known}"))
    }
}

impl Checked {
    fn new(tool: Box<dyn Tool>) -> Result<Self, Failure> {
        let definition = tool.definition();
        let arguments = jsonschema::options().offline().build(&definition.parameters);
        let arguments = arguments.map_err(|error| {
            let message = format!("the schema of tool `{}`: {error}", definition.name);
            Failure::permanent("tool_schema", message)
        })?;
        Ok(Self { tool, definition, arguments })
    }

    /// What is wrong with these arguments.
    fn problems(&self, arguments: &Value) -> Option<Failure> {
        let problems = crate::check::problems(&self.arguments, arguments)?;
        let message = format!("wrong arguments for tool `{}`: {problems}", self.definition.name);
        Some(Failure::permanent("tool_arguments", message))
    }
}

/// The name of a tool's first step.
pub fn step_name(tool: &str) -> String {
    format!("tool:{tool}")
}

/// The step of a call of a tool: its effect says what may be done when nobody knows whether it has
/// happened.
fn step<I: Serialize + ?Sized>(
    ctx: &Context,
    tool: &str,
    input: &I,
    effect: Effect,
    retry: Retry,
) -> Step<'static> {
    let step = ctx.step(&step_name(tool)).kind(EntryKind::Tool).input(&input);
    match effect {
        Effect::Once => step.once(),
        Effect::Read | Effect::Idempotent => step.retry(retry),
    }
}

/// Records that a call is not made, and why. What a later worker would say about it must not
/// change what the model was told.
async fn fail(ctx: &Context, step: &str, arguments: &Value, why: &Failure) -> Result<Output, Stop> {
    let step = ctx.step(step).kind(EntryKind::Tool).input(arguments);
    step.run(|_| std::future::ready(Err::<Value, _>(why.clone()))).await.map(Output::from)
}

/// The tools of one line of a specification.
async fn open(
    ctx: &Context,
    tool: &tenure_spec::Tool,
    parts: &Parts,
) -> Result<Vec<Box<dyn Tool>>, Stop> {
    use tenure_spec::Tool as Named;
    let Parts { files, http, model, retry, permits, hooks, secrets, tenants, .. } = parts.clone();
    Ok(vec![match tool {
        Named::ListFiles => Box::new(list_files::ListFiles { files, retry }),
        Named::ReadFile => Box::new(read_file::ReadFile { files, retry }),
        Named::SearchFiles => Box::new(search_files::SearchFiles { files, retry }),
        Named::WriteFile => Box::new(write_file::WriteFile { files, retry }),
        Named::EditFile => Box::new(edit_file::EditFile { files, retry }),
        Named::Todo => Box::new(todo::Todo),
        Named::Time => Box::new(time::Time),
        Named::DigestFile => Box::new(digest_file::DigestFile { files, model, retry, tenants }),
        Named::WriteArtifact => Box::new(write_artifact::WriteArtifact),
        Named::ListArtifacts => Box::new(list_artifacts::ListArtifacts { retry }),
        Named::ReadArtifact => Box::new(read_artifact::ReadArtifact { retry }),
        Named::HttpRequest { hosts } => {
            Box::new(http_request::HttpRequest::new(hosts.clone(), http, retry))
        }
        Named::Agent(agent) => Box::new(agent::Agent { spec: agent.clone() }),
        Named::Command(command) => {
            Box::new(command::Command::new((**command).clone(), permits, retry))
        }
        // Sources are boxed: they are large, and most agents have none.
        Named::Mcp(server) => {
            return Box::pin(mcp::open(ctx, server, &parts.servers, retry)).await;
        }
        Named::Hook(hook) => Box::new(hook::Hook { spec: hook.clone(), hooks, retry }),
        Named::OpenApi(service) => {
            let reach = openapi::Reach { client: http, secrets, retry };
            return Box::pin(openapi::open(ctx, service, reach)).await;
        }
    }])
}

/// The text of an argument that the schema has checked; empty if it was left out.
fn text<'a>(arguments: &'a Value, name: &str) -> &'a str {
    arguments.get(name).and_then(Value::as_str).unwrap_or_default()
}
