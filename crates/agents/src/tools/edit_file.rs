//! `edit_file`: a part of a file becomes another.
//!
//! An edit made twice would be wrong: what it inserts may contain what it looked for. So what it
//! will do is recorded first, with the digests of the file before and after. A worker that finds the
//! record and no result sees by the file which of the two it is.

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Retry, Stop};

use super::files::{Edit, Plan};
use super::read_file::path_schema;
use super::{Files, Output, Tool, files, step_name, text};
use crate::model::Definition;

const NAME: &str = "edit_file";

/// Edits one file of the worker's folder.
pub struct EditFile {
    pub(super) files: Files,
    pub(super) retry: Retry,
}

#[async_trait]
impl Tool for EditFile {
    fn definition(&self) -> Definition {
        Definition {
            name: NAME.into(),
            description: "Replaces an exact text in a text file of the given folder by another, \
                and gives the lines that changed. The text must occur exactly once, unless `all` \
                is set."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": path_schema(),
                    "old": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": files::FILE,
                        "description": "The text as it stands in the file, spaces and line ends \
                            included, with enough around it to be the only one.",
                    },
                    "new": {"type": "string", "maxLength": files::FILE},
                    "all": {"type": "boolean", "description": "Replace every occurrence."},
                },
                "required": ["path", "old", "new"],
                "additionalProperties": false,
            }),
        }
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let edit = Edit {
            path: text(arguments, "path").into(),
            old: text(arguments, "old").into(),
            new: text(arguments, "new").into(),
            all: arguments.get("all").and_then(Value::as_bool).unwrap_or_default(),
        };
        // Two edits of one file in one message of the model follow one another.
        let _editing = self.files.editing.lock().await;
        let step = ctx.step(&step_name(NAME)).kind(EntryKind::Tool).input(arguments);
        let plan: Plan = step.retry(self.retry).run(|_| self.files.plan(&edit)).await?;
        let step = ctx.step("write").kind(EntryKind::Tool).input(&plan).retry(self.retry);
        let () = step.run(|_| self.files.edit(&edit, &plan)).await?;
        let told = json!({"path": edit.path, "replaced": plan.replaced, "diff": plan.diff});
        Ok(told.into())
    }
}
