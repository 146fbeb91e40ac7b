//! `search_files`: where a text stands.

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Retry, Stop};
use tenure_spec::Effect;

use super::files::{Findings, Search};
use super::{Files, Output, Tool, step_name, text};
use crate::model::Definition;

const NAME: &str = "search_files";

/// Searches the files of the worker's folder.
pub struct SearchFiles {
    pub(super) files: Files,
    pub(super) retry: Retry,
}

#[async_trait]
impl Tool for SearchFiles {
    fn definition(&self) -> Definition {
        Definition {
            name: NAME.into(),
            description: "Finds the lines of text files of the given folder that contain a text, \
                with the numbers of the lines. At most 200 lines; `more` is true if there are \
                others. Files longer than 1 MiB are left out."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "text": {"type": "string", "minLength": 1, "maxLength": 1000},
                    "regex": {
                        "type": "boolean",
                        "description": "Whether `text` is a regular expression.",
                    },
                    "ignore_case": {"type": "boolean"},
                    "files": {
                        "type": "string",
                        "maxLength": 256,
                        "description": "Which files: an ending (`.py`) or a pattern \
                            (`src/**/*.py`). Without it: all.",
                    },
                    "context": {
                        "type": "integer",
                        "minimum": 0,
                        "maximum": 5,
                        "description": "Lines before and after each that are given, too.",
                    },
                },
                "required": ["text"],
                "additionalProperties": false,
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let search = search(arguments);
        let step = ctx.step(&step_name(NAME)).kind(EntryKind::Tool).input(arguments);
        let work = |_| self.files.search(search.clone());
        let found: Findings = step.retry(self.retry).run(work).await?;
        Ok(json!(found).into())
    }
}

fn search(arguments: &Value) -> Search {
    let truth = |name| arguments.get(name).and_then(Value::as_bool).unwrap_or_default();
    let context = arguments.get("context").and_then(Value::as_u64).unwrap_or_default();
    Search {
        text: text(arguments, "text").into(),
        regex: truth("regex"),
        ignore_case: truth("ignore_case"),
        files: text(arguments, "files").into(),
        context: usize::try_from(context).unwrap_or_default(),
    }
}
