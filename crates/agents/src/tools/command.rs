//! Programs as tools: started without a shell, within bounds.
//!
//! What has run is a result, however it ended: a status that is not 0, a program that was ended for
//! its time. Only what was not started is a failure.

mod arguments;
mod permits;
mod told;

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_sdk::{Context, Failure, IN_DOUBT, Retry, Stop};
use tenure_spec::{CommandTool, Effect};

use super::{Output, Tool, step, text};
use crate::model::Definition;
use crate::sandbox::{self, Outcome, Request};

pub use permits::{Permits, Variables};

/// Characters of a standard input: what a model writes, not what it copies.
const STDIN: usize = 64 << 10;

/// Executes one program.
pub struct Command {
    spec: CommandTool,
    permits: Permits,
    retry: Retry,
}

#[async_trait]
impl Tool for Command {
    fn definition(&self) -> Definition {
        let schema = || json!({"type": "object", "properties": {}});
        let mut parameters = self.spec.parameters.clone().unwrap_or_else(schema);
        parameters["additionalProperties"] = json!(false);
        if self.spec.stdin {
            let text = json!({
                "type": "string",
                "maxLength": STDIN,
                "description": "The text of the standard input.",
            });
            parameters["properties"]["stdin"] = text;
        }
        let CommandTool { name, description, .. } = &self.spec;
        Definition { name: name.clone(), description: description.clone(), parameters }
    }

    fn effect(&self) -> Effect {
        self.spec.effect
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let step = step(ctx, &self.spec.name, arguments, self.spec.effect, self.retry);
        step.run(|_| self.execute(arguments)).await.map(Output::from)
    }
}

impl Command {
    /// The tool that a specification describes, on a worker with these permits.
    pub fn new(spec: CommandTool, permits: Permits, retry: Retry) -> Self {
        Self { spec, permits, retry }
    }

    /// Executes it once.
    pub async fn execute(&self, arguments: &Value) -> Result<Value, Failure> {
        let refused = |why| Failure::permanent("command_refused", why);
        let args = arguments::expand(&self.spec, arguments).map_err(refused)?;
        let (helper, program) = self.permits.program(&self.spec.program).map_err(refused)?;
        let environment = self.permits.environment(&self.spec.environment).map_err(refused)?;
        // Ends with this call, and what is in it.
        let scratch = tempfile::tempdir().map_err(|error| {
            let message = format!("there is no room for the command's own files: {error}");
            Failure::retryable("sandbox_unavailable", message)
        })?;
        let stdin = text(arguments, "stdin").to_owned();
        let request = Request {
            program,
            args,
            stdin,
            ..self.permits.request(&self.spec, scratch.path(), environment)
        };
        let report = sandbox::run(&helper, &request).await.map_err(|lost| self.doubt(lost))?;
        if !report.missing.is_empty() {
            let (command, missing) = (&self.spec.name, &report.missing);
            tracing::warn!(%command, ?missing, "bounds of command `{command}` do not hold");
        }
        match report.outcome {
            Outcome::Ended(ended) => Ok(told::result(&self.spec, &ended, &report.missing)),
            Outcome::Refused(why) => {
                let missing = report.missing.iter().map(|missing| format!("; {missing}"));
                let message =
                    format!("the command was not started: {why}{}", missing.collect::<String>());
                Err(Failure::permanent("command_refused", message))
            }
        }
    }

    /// What must not happen twice and may have happened is for a person to say.
    fn doubt(&self, lost: Failure) -> Failure {
        match self.spec.effect {
            Effect::Once if lost.code == "sandbox_lost" => {
                Failure { code: IN_DOUBT.into(), ..lost }
            }
            _ => lost,
        }
    }
}
