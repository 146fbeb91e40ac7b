//! `write_file`: a text becomes a file.

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Retry, Stop};

use super::files::Written;
use super::{Files, Output, Tool, files, step_name, text};
use crate::model::Definition;

const NAME: &str = "write_file";

/// Writes one file of the worker's folder. Written again it is the same file, so a crash does no
/// harm.
pub struct WriteFile {
    pub(super) files: Files,
    pub(super) retry: Retry,
}

#[async_trait]
impl Tool for WriteFile {
    fn definition(&self) -> Definition {
        Definition {
            name: NAME.into(),
            description: "Writes a text file (at most 256 KiB) of the given folder, in place of \
                what it was; folders are made. To change a part of a file, use `edit_file`."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": new_path_schema(),
                    "text": {"type": "string", "maxLength": files::FILE},
                },
                "required": ["path", "text"],
                "additionalProperties": false,
            }),
        }
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let (path, content) = (text(arguments, "path"), text(arguments, "text"));
        let step = ctx.step(&step_name(NAME)).kind(EntryKind::Tool).input(arguments);
        let write = |_| self.files.write(path, content);
        let written: Written = step.retry(self.retry).run(write).await?;
        Ok(json!(written).into())
    }
}

/// The schema of a path that need not exist.
fn new_path_schema() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 1024,
        "description": "Path below the folder, such as `src/main.py`.",
    })
}
