//! Tools of MCP servers.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tenure_sdk::{Attempt, Context, EntryKind, Failure, Retry, Stop};
use tenure_spec::{Effect, McpTools};

use super::offer::{self, Offer};
use super::{Output, Tool, step};
use crate::mcp::{Call, Listed, Servers};
use crate::model::Definition;

/// One tool of a server.
pub struct McpTool {
    /// What the model knows it by.
    name: String,
    listed: Listed,
    effect: Effect,
    server: Arc<McpTools>,
    servers: Arc<Servers>,
    retry: Retry,
}

/// The tools of a server as it lists them now, in the step `tools:SERVER`.
pub(super) async fn open(
    ctx: &Context,
    server: &McpTools,
    servers: &Arc<Servers>,
    retry: Retry,
) -> Result<Vec<Box<dyn Tool>>, Stop> {
    let step = ctx.step(&format!("tools:{}", server.name)).kind(EntryKind::Tool);
    let step =
        step.input(&(&server.url, &server.command, &server.args, &server.tools)).retry(retry);
    let tenant = ctx.tenant().as_str();
    let offer: Offer<Listed> = step.run(|_| servers.list(tenant, server)).await?;
    let names = offer::names(&server.name, offer.tools.iter().map(|tool| tool.name.as_str()));
    let server = Arc::new(server.clone());
    let tool = |(name, listed): (String, Listed)| {
        let effect = server.effects.get(&listed.name).copied().unwrap_or(listed.effect);
        let (server, servers) = (server.clone(), servers.clone());
        Box::new(McpTool { name, listed, effect, server, servers, retry }) as Box<dyn Tool>
    };
    Ok(names.into_iter().zip(offer.tools).map(tool).collect())
}

#[async_trait]
impl Tool for McpTool {
    fn definition(&self) -> Definition {
        Definition {
            name: self.name.clone(),
            description: self.listed.description.clone(),
            parameters: self.listed.parameters.clone(),
        }
    }

    fn effect(&self) -> Effect {
        self.effect
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let step = step(ctx, &self.name, arguments, self.effect, self.retry);
        let tenant = ctx.tenant().as_str();
        let result = step.run(|attempt| self.ask(tenant, arguments, attempt));
        Ok(result.await?.into())
    }
}

impl McpTool {
    async fn ask(
        &self,
        tenant: &str,
        arguments: &Value,
        attempt: Attempt,
    ) -> Result<Value, Failure> {
        let none = Map::new();
        let call = Call {
            tool: &self.listed.name,
            arguments: arguments.as_object().unwrap_or(&none),
            idempotency_key: &attempt.idempotency_key,
            effect: self.effect,
            publisher: &attempt.publisher,
        };
        self.servers.call(tenant, &self.server, call).await
    }
}
