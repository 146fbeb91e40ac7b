//! The stock interpreter of agent specifications: models, tools and the loop between them.
//!
//! It is an ordinary user of the SDK, without private doors: everything it does could be done by
//! a worker of your own.
//!
//! ```no_run
//! use tenure_agents::{Interpreter, Settings};
//! use tenure_sdk::{Client, Worker, shutdown_signal};
//!
//! # async fn main_() -> anyhow::Result<()> {
//! let interpreter = Interpreter::new(Settings::new("."))?;
//! let client = Client::connect("http://127.0.0.1:7700", "default".parse()?)?;
//! Worker::new(client)
//!     .interpreter(move |ctx, input| {
//!         let interpreter = interpreter.clone();
//!         async move { interpreter.run(ctx, input).await }
//!     })
//!     .run(shutdown_signal())
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`model`] is what is asked of a language model, [`tools`] what a model can have done,
//! [`interpreter`] the loop. The journal of a run reads like the conversation:
//!
//! ```text
//! turn/0/model                        the first reply: call list_files
//! turn/0/call/0/tool:list_files
//! turn/1/model                        call digest_file for each file
//! turn/1/call/0/tool:digest_file      the text of the first file
//! turn/1/call/0/model                 the question about it
//! turn/1/call/1/tool:digest_file
//! …
//! ```
//!
//! That of a graph reads like its nodes: see [`interpreter`]'s `graph` module.
#![warn(missing_docs)]

mod check;
pub mod hooks;
pub mod interpreter;
pub mod mcp;
pub mod model;
mod openapi;
mod patience;
pub mod sandbox;
mod secrets;
mod tenants;
pub mod tools;

use tenure_sdk::{Attempt, Context, Failure, Usage};
pub use tenure_spec::{Policy, backends, policy as read_policy, script as read_script};

pub use hooks::{Hook, Hooks};
pub use interpreter::{Interpreter, Settings, SetupError};
pub use model::{BackendConfig, DefaultModel, ModelConfig, Prices, Secret};
pub use secrets::ToolSecrets;
pub use tenants::Tenants;

use model::{Listener, Model, Reply, Request};

/// One call of a model in the form that a metered step wants, after what it may come to was reserved.
async fn ask(
    tenants: &Tenants,
    ctx: &Context,
    attempt: &Attempt,
    model: &dyn Model,
    request: &Request,
    told: &dyn Listener,
) -> Result<(Reply, Usage), Failure> {
    tenants.reserve(ctx, attempt, || Ok(model.estimate(request))).await?;
    let reply = model.reply(request, told).await?;
    let usage = reply.usage.clone();
    Ok((reply, usage))
}
