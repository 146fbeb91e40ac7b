//! `read_file`: the text of one file.

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Retry, Stop};
use tenure_spec::Effect;

use super::{Files, Output, Tool, step_name, text};
use crate::model::Definition;

const NAME: &str = "read_file";

/// Reads one file of the worker's folder.
pub struct ReadFile {
    pub(super) files: Files,
    pub(super) retry: Retry,
}

#[async_trait]
impl Tool for ReadFile {
    fn definition(&self) -> Definition {
        Definition {
            name: NAME.into(),
            description: "Reads a text file (UTF-8, at most 256 KiB) of the given folder.".into(),
            parameters: json!({
                "type": "object",
                "properties": {"path": path_schema()},
                "required": ["path"],
                "additionalProperties": false,
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let path = text(arguments, "path");
        let step = ctx.step(&step_name(NAME)).kind(EntryKind::Tool).input(arguments);
        let text: String = step.retry(self.retry).run(|_| self.files.read(path)).await?;
        Ok(json!({"path": path, "text": text}).into())
    }
}

/// The schema of a path of a file.
pub(super) fn path_schema() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 1024,
        "description": "Path of the file as `list_files` gives it.",
    })
}
