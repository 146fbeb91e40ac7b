//! Hooks as tools: a service in contenox's protocol is given a text.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_sdk::{Context, Failure, IN_DOUBT, Retry, Stop};
use tenure_spec::{DataType, Effect, HookTool};

use super::{Output, Tool, step, text};
use crate::hooks::{HookAnswer, HookArgs, HookCall, Hooks, LOST};
use crate::model::Definition;

/// Has a hook of the worker do something.
pub struct Hook {
    pub(super) spec: HookTool,
    pub(super) hooks: Arc<dyn Hooks>,
    pub(super) retry: Retry,
}

#[async_trait]
impl Tool for Hook {
    fn definition(&self) -> Definition {
        Definition {
            name: self.spec.name.clone(),
            description: self.spec.description.clone(),
            parameters: json!({
                "type": "object",
                "properties": {"input": {"type": "string", "description": "What it is given."}},
                "required": ["input"],
                "additionalProperties": false,
            }),
        }
    }

    fn effect(&self) -> Effect {
        self.spec.effect
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let call = HookCall {
            starting_time: ctx.now().await?.to_string(),
            input: text(arguments, "input").into(),
            data_type: DataType::String,
            transition: String::new(),
            args: HookArgs { name: self.spec.hook().into(), args: self.spec.args.clone() },
        };
        let step = step(ctx, &self.spec.name, &call, self.spec.effect, self.retry);
        let answer = step.run(|attempt| self.ask(&call, attempt.idempotency_key)).await?;
        Ok(answer.output.into())
    }
}

impl Hook {
    async fn ask(&self, call: &HookCall, key: String) -> Result<HookAnswer, Failure> {
        let answer = self.hooks.call(call, &key).await;
        answer.and_then(|answer| answer.checked(&call.args.name)).map_err(|failure| {
            match self.spec.effect {
                Effect::Once if failure.code == LOST => {
                    Failure::permanent(IN_DOUBT, failure.message)
                }
                _ => failure,
            }
        })
    }
}
