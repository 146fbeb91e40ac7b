//! Agents as tools: another agent is given a task, as a run of its own.

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_sdk::{Context, Stop};
use tenure_spec::AgentTool;

use super::{Output, Tool, step_name, text};
use crate::model::Definition;

/// Has another agent do something. Its failure is told to the model like that of any tool.
pub struct Agent {
    pub(super) spec: AgentTool,
}

#[async_trait]
impl Tool for Agent {
    fn definition(&self) -> Definition {
        Definition {
            name: self.spec.name.clone(),
            description: self.spec.description.clone(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "task": {
                        "type": "string",
                        "minLength": 1,
                        "description": "What it is to do, with everything it has to know: it sees \
                            nothing of this conversation.",
                    },
                },
                "required": ["task"],
                "additionalProperties": false,
            }),
        }
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let call = ctx.call(&self.spec.agent, text(arguments, "task"));
        let call = call.name(&step_name(&self.spec.name));
        let answer: Value = match &self.spec.version {
            Some(version) => call.version(version).output().await?,
            None => call.output().await?,
        };
        Ok(answer.into())
    }
}
