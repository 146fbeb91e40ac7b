//! `todo`: the model's list of what is to be done.
//!
//! The model writes the whole list each time, so the list is in the conversation and nowhere else:
//! no state beside the journal, nothing that calls made at once could do in another order.

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Retry, Stop};
use tenure_spec::Effect;

use super::{Output, Tool, step_name};
use crate::model::Definition;

const NAME: &str = "todo";

/// Keeps a list of tasks in the conversation.
pub struct Todo;

#[async_trait]
impl Tool for Todo {
    fn definition(&self) -> Definition {
        Definition {
            name: NAME.into(),
            description: "Keeps your list of tasks for work of several steps: give the whole list \
                each time, to begin it, to add to it and to mark what is done. One task is \
                `active` at a time."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "tasks": {
                        "type": "array",
                        "maxItems": 100,
                        "items": {
                            "type": "object",
                            "properties": {
                                "task": {"type": "string", "minLength": 1, "maxLength": 500},
                                "state": {"type": "string", "enum": ["open", "active", "done"]},
                            },
                            "required": ["task", "state"],
                            "additionalProperties": false,
                        },
                    },
                },
                "required": ["tasks"],
                "additionalProperties": false,
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let counted = json!({
            "open": count(arguments, "open"),
            "active": count(arguments, "active"),
            "done": count(arguments, "done"),
        });
        let step = ctx.step(&step_name(NAME)).kind(EntryKind::Tool).input(arguments);
        let step = step.retry(Retry::NONE);
        step.run(|_| std::future::ready(Ok(counted.clone()))).await.map(Output::from)
    }
}

fn count(arguments: &Value, state: &str) -> usize {
    let tasks = arguments["tasks"].as_array().into_iter().flatten();
    tasks.filter(|task| task["state"] == state).count()
}
