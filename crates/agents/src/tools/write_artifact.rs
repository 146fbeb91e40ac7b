//! `write_artifact`: a document that the run leaves behind.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tenure_sdk::{Context, Failure, Stop, limits};

use super::{Output, Tool, fail, step_name, text};
use crate::model::Definition;

const NAME: &str = "write_artifact";
const TEXT: &str = "text/plain; charset=utf-8";
const MARKDOWN: &str = "text/markdown; charset=utf-8";

/// Writes an artifact of the run.
pub struct WriteArtifact;

#[async_trait]
impl Tool for WriteArtifact {
    fn definition(&self) -> Definition {
        Definition {
            name: NAME.into(),
            description: "Keeps a text (at most 1 MiB) under a name as a result of this task. A \
                name can be used once."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "name": name_schema(),
                    "content_type": {
                        "type": "string",
                        "pattern": "^[a-z0-9.+-]+/[A-Za-z0-9.+;= -]{1,100}$",
                        "description": "Its media type; plain text or Markdown if left out.",
                    },
                    "text": {"type": "string", "maxLength": limits::ARTIFACT},
                },
                "required": ["name", "text"],
                "additionalProperties": false,
            }),
        }
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let name = text(arguments, "name");
        let data = Bytes::copy_from_slice(text(arguments, "text").as_bytes());
        if data.len() > limits::ARTIFACT {
            let limit = limits::ARTIFACT;
            let message =
                format!("artifact `{name}` has {} bytes; the limit is {limit}", data.len());
            let failure = Failure::permanent("artifact_size", message);
            return fail(ctx, &step_name(NAME), arguments, &failure).await;
        }
        let size = data.len();
        ctx.put_artifact(name, content_type(name, arguments), data).await?;
        Ok(json!({"artifact": name, "size": size}).into())
    }
}

/// The schema of an artifact's name, which is a part of a journal key and of a URL.
pub(super) fn name_schema() -> Value {
    json!({
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        "description": "Its name, such as `report.md`.",
    })
}

fn content_type<'a>(name: &str, arguments: &'a Value) -> &'a str {
    match (text(arguments, "content_type"), Path::new(name).extension()) {
        ("", Some(ending)) if ending.eq_ignore_ascii_case("md") => MARKDOWN,
        ("", _) => TEXT,
        (given, _) => given,
    }
}
