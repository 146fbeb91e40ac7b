//! Agents as tools: another agent is given a task, as a run of its own.

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_sdk::{Context, Stop};
use tenure_spec::{AgentTool, Manner};

use super::{Output, Tool, step_name, text};
use crate::model::Definition;

/// Has another agent do something. Its failure is told to the model like that of any tool.
pub struct Agent {
    pub(super) spec: AgentTool,
}

#[async_trait]
impl Tool for Agent {
    fn definition(&self) -> Definition {
        let (name, description) = (self.spec.name.clone(), self.spec.description.clone());
        if self.spec.manner == Manner::Transfer {
            let parameters = json!({"type": "object", "additionalProperties": false});
            return Definition { name, description, parameters };
        }
        Definition {
            name,
            description,
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

    fn is_metered(&self) -> bool {
        true
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        if self.spec.manner == Manner::Transfer {
            // The loop sees to it when all calls of the reply are made.
            let output = Output::from(json!("The conversation is handed over."));
            return Ok(Output { transfer: Some(self.spec.clone()), ..output });
        }
        let call = ctx.call(&self.spec.agent, text(arguments, "task"));
        let call = call.name(&step_name(&self.spec.name)).version(self.spec.version());
        // Also an agent that has failed has used something.
        let (result, usage) = call.metered().await?;
        Ok(Output { result, usage, transfer: None })
    }
}
