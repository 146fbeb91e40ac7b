//! The interpreter: what a run of a specification does.
//!
//! Everything between two steps follows from the specification and from what is recorded, so a
//! run goes on after a crash as if nothing had happened.

mod agent;
mod answer;
mod budget;
mod control;
mod conversation;
mod graph;
mod input;
mod team;
mod transfer;
mod turns;
mod window;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenure_sdk::{Context, Payload, Stop};
use tenure_spec::Policy;

use crate::hooks::{Hook, Hooks, RemoteHooks};
use crate::mcp::{Logins, Reach, Servers};
use crate::model::{ModelConfig, Models, Router};
use crate::secrets::ToolSecrets;
use crate::tenants::Tenants;
use crate::tools::command::{Permits, Variables};
use crate::tools::{Files, http_request};

use agent::Agent;
use budget::{Budget, Purse};
use control::Uncontrolled;
use turns::Ended;

/// What an interpreter needs from the process that runs it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder that file tools can see, and nothing outside it.
    pub files: PathBuf,
    /// Whether tools may write in that folder.
    pub files_write: bool,
    /// How models are reached.
    pub models: ModelConfig,
    /// The hooks that graphs may call.
    pub hooks: Vec<Hook>,
    /// The programs that tools may start, by the name or path that a specification gives; none
    /// unless listed.
    pub programs: Vec<String>,
    /// The variables that programs may see if a specification asks for them, with their values.
    /// `PATH`, which they always see, says where programs are looked for.
    pub environment: Variables,
    /// The folders that programs may read, beside the system's and their own.
    pub readable: Vec<PathBuf>,
    /// The program that bounds other programs: [`sandbox::this_program`] if this one calls
    /// [`sandbox::enter`]. Without it no command is executed.
    ///
    /// [`sandbox::this_program`]: crate::sandbox::this_program
    /// [`sandbox::enter`]: crate::sandbox::enter
    pub sandbox: Option<PathBuf>,
    /// The secrets that tools may use.
    pub secrets: ToolSecrets,
    /// How MCP servers are logged in to.
    pub logins: Logins,
    /// What tools may do at most, whatever the policy of an agent says.
    pub policy: Option<Policy>,
}

impl Settings {
    /// This folder, and no keys: enough for scripted models and local servers.
    pub fn new(files: impl AsRef<Path>) -> Self {
        Self {
            files: files.as_ref().into(),
            files_write: false,
            models: ModelConfig::default(),
            hooks: Vec::new(),
            programs: Vec::new(),
            environment: Variables::default(),
            readable: Vec::new(),
            sandbox: None,
            secrets: ToolSecrets::default(),
            logins: Logins::default(),
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
    permits: Permits,
    servers: Arc<Servers>,
    secrets: ToolSecrets,
    policy: Option<Arc<Policy>>,
    tenants: Arc<Tenants>,
}

impl Interpreter {
    /// An interpreter with these settings. A rustls crypto provider must be installed.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let permits = permits(&settings);
        let folder = settings.files;
        let files = Files::open(&folder).map_err(|source| SetupError::Files { folder, source })?;
        let files = files.writable(settings.files_write);
        let models = Models::new(settings.models).map_err(SetupError::Http)?;
        let http = http_request::client().map_err(|error| SetupError::Http(error.to_string()))?;
        let hooks = RemoteHooks::new(&settings.hooks, http.clone()).map_err(SetupError::Hook)?;
        let routes = Routes { router: Arc::new(models.clone()), hooks: Arc::new(hooks) };
        let (policy, tenants) = (settings.policy.map(Arc::new), Arc::default());
        let secrets = settings.secrets;
        let reach = Reach {
            secrets: secrets.clone(),
            programs: permits.programs.clone(),
            variables: permits.environment.clone(),
            folder: permits.files.clone(),
            logins: settings.logins,
        };
        let servers = Servers::new(reach).map_err(|error| SetupError::Http(error.to_string()))?;
        let servers = Arc::new(servers);
        let shared = Shared { files, models, http, permits, servers, secrets, policy, tenants };
        Ok(Self { parts: Arc::new(shared), routes })
    }

    /// The same, with these to answer what graphs ask.
    #[must_use]
    pub fn routed(self, router: Arc<dyn Router>, hooks: Arc<dyn Hooks>) -> Self {
        Self { routes: Routes { router, hooks }, ..self }
    }

    /// Looks after the backends of models for ever: what models they have, and that they have those
    /// that they should. A process that executes runs does this beside it.
    pub async fn keep_models(&self) {
        self.parts.models.pools().keep(fastrand::f64).await;
    }

    /// Executes one run: the specification comes with the context, the input with the run. The
    /// output is JSON: the text of the final answer, or what `output` in the specification asks for;
    /// of a graph, the output of its last node; of a team, what was said last, or all of it. A run
    /// that is given a conversation ([`tenure_spec::conversation`]) gives an assistant's message.
    pub async fn run(&self, ctx: Context, input: Payload) -> Result<Payload, Stop> {
        let mut spec = agent::read(ctx.spec()).map_err(Stop::Failed)?;
        if let Some(graph) = &spec.graph {
            return Box::pin(graph::run(&spec, graph, self, &ctx, &input)).await;
        }
        if let Some(team) = &spec.team {
            return Box::pin(team::run(&spec, team, self, &ctx, &input)).await;
        }
        let start = conversation::start(&input, &mut spec).map_err(Stop::Failed)?;
        let agent = Agent::open(&ctx, spec, self).await?;
        start.check(&agent.tools.definitions()).map_err(Stop::Failed)?;
        let mut budget = Budget::of_run(&agent.limits, &ctx).await?;
        let mut purse = Purse::new([&mut budget]);
        let mut control = Uncontrolled;
        match Box::pin(turns::take(&agent, &ctx, start, &mut purse, &mut control)).await? {
            Ended::Answered(answer) => Ok(Payload::json(serde_json::to_vec(&answer)?)),
            Ended::Said(answer) => Ok(conversation::written(&answer)?),
        }
    }
}

/// What commands may do. The path of the folder is made absolute: they work elsewhere.
fn permits(settings: &Settings) -> Permits {
    Permits {
        sandbox: settings.sandbox.clone(),
        programs: settings.programs.clone().into(),
        environment: settings.environment.clone(),
        readable: settings.readable.clone().into(),
        files: std::path::absolute(&settings.files).unwrap_or_else(|_| settings.files.clone()),
        write: settings.files_write,
    }
}
