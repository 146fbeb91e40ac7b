//! `list_artifacts`: what the run has written.

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Retry, Stop};
use tenure_spec::Effect;

use super::{Output, Tool, step_name};
use crate::model::Definition;

const NAME: &str = "list_artifacts";

/// Lists the artifacts of the run.
pub struct ListArtifacts {
    pub(super) retry: Retry,
}

#[async_trait]
impl Tool for ListArtifacts {
    fn definition(&self) -> Definition {
        Definition {
            name: NAME.into(),
            description: "Lists the results that were kept with `write_artifact`.".into(),
            parameters: json!({"type": "object", "properties": {}, "additionalProperties": false}),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let list = |_| async {
            let artifacts = ctx.artifacts().await?.into_iter();
            let told = artifacts.map(|found| json!({"artifact": found.name, "size": found.size}));
            Ok(json!({"artifacts": told.collect::<Vec<_>>()}))
        };
        let step = ctx.step(&step_name(NAME)).kind(EntryKind::Tool).input(arguments);
        step.retry(self.retry).run(list).await.map(Output::from)
    }
}
