//! `list_files`: which files there are.

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Retry, Stop};
use tenure_spec::Effect;

use super::files::Listing;
use super::{Files, Output, Tool, step_name, text};
use crate::model::Definition;

const NAME: &str = "list_files";

/// Lists the files of the worker's folder.
pub struct ListFiles {
    pub(super) files: Files,
    pub(super) retry: Retry,
}

#[async_trait]
impl Tool for ListFiles {
    fn definition(&self) -> Definition {
        Definition {
            name: NAME.into(),
            description: "Lists the files of the given folder and of the folders below it, by \
                path, with their sizes in bytes. Without a pattern: the text files. At most 1000 \
                files; `more` is true if there are others."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "pattern": {
                        "type": "string",
                        "maxLength": 256,
                        "description": "How the paths end (`.md`), or a pattern of names (`*_test.py`) or \
                            paths (`notes/**/*.md`).",
                    },
                },
                "additionalProperties": false,
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let pattern = text(arguments, "pattern");
        let step = ctx.step(&step_name(NAME)).kind(EntryKind::Tool).input(arguments);
        let listing: Listing = step.retry(self.retry).run(|_| self.files.list(pattern)).await?;
        Ok(json!(listing).into())
    }
}
