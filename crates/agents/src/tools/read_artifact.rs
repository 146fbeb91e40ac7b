//! `read_artifact`: the text of what the run has written.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Failure, Retry, Stop};
use tenure_spec::Effect;

use super::files::FILE;
use super::write_artifact::name_schema;
use super::{Output, Tool, step_name, text};
use crate::model::Definition;

const NAME: &str = "read_artifact";

/// Reads one artifact of the run.
pub struct ReadArtifact {
    pub(super) retry: Retry,
}

#[async_trait]
impl Tool for ReadArtifact {
    fn definition(&self) -> Definition {
        Definition {
            name: NAME.into(),
            description: "Reads a result that was kept with `write_artifact` (a text in UTF-8, at \
                most 256 KiB)."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {"name": name_schema()},
                "required": ["name"],
                "additionalProperties": false,
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let name = text(arguments, "name");
        let read = |_| async { read(name, ctx.artifact(name).await?.1) };
        let step = ctx.step(&step_name(NAME)).kind(EntryKind::Tool).input(arguments);
        let text: String = step.retry(self.retry).run(read).await?;
        Ok(json!({"artifact": name, "text": text}).into())
    }
}

fn read(name: &str, data: Bytes) -> Result<String, Failure> {
    if data.len() as u64 > FILE {
        let message = format!("`{name}` has {} bytes; up to {FILE} can be read", data.len());
        return Err(Failure::permanent("artifact_size", message));
    }
    String::from_utf8(data.into())
        .map_err(|_| Failure::permanent("artifact_text", format!("`{name}` is not text in UTF-8")))
}
