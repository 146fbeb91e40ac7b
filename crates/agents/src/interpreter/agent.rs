//! An agent made of its specification.

use std::sync::Arc;

use tenure_sdk::{Context, Failure, Retry, Stop};
use tenure_spec::{Kind, Limits, Spec, Window};

use super::Interpreter;
use super::answer::Output;
use crate::model::Model;
use crate::tools::{Guard, Parts, Toolbox};

/// Everything that a run of one version needs.
pub(super) struct Agent {
    pub(super) model: Arc<dyn Model>,
    /// What the model is told before the conversation.
    pub(super) system: String,
    pub(super) tools: Toolbox,
    /// The form of the final answer; text if there is none.
    pub(super) output: Option<Output>,
    /// What of the conversation the model sees; all of it if there is none.
    pub(super) window: Option<Window>,
    pub(super) limits: Limits,
    pub(super) retry: Retry,
}

impl Agent {
    /// An agent of this specification; the worker's model stands in for one that is not named. What
    /// its sources of tools have is asked in `ctx`.
    pub(super) async fn open(
        ctx: &Context,
        spec: Spec,
        interpreter: &Interpreter,
    ) -> Result<Self, Stop> {
        if spec.kind != Kind::Agent {
            return Err(Stop::Failed(external(&spec)));
        }
        let output = spec.output.as_ref().map(Output::new).transpose().map_err(Stop::Failed)?;
        let model = Self::model(&spec, interpreter)?;
        Ok(Self {
            system: system(&spec.instructions, output.as_ref()),
            tools: Self::tools(ctx, &spec, &model, interpreter).await?,
            model,
            output,
            window: spec.window,
            retry: retry(&spec.retry),
            limits: spec.limits,
        })
    }

    /// The model of this specification, or the worker's.
    pub(super) fn model(spec: &Spec, interpreter: &Interpreter) -> Result<Arc<dyn Model>, Stop> {
        interpreter.parts.models.or_own(spec.model.as_ref()).map_err(Stop::Failed)
    }

    /// The tools of this specification, with the model that some of them ask.
    pub(super) async fn tools(
        ctx: &Context,
        spec: &Spec,
        model: &Arc<dyn Model>,
        interpreter: &Interpreter,
    ) -> Result<Toolbox, Stop> {
        let shared = &interpreter.parts;
        let ceiling = shared.policy.clone();
        let (name, own, tenants) = (spec.name.clone(), spec.policy.clone(), shared.tenants.clone());
        let guard = Guard { agent: name, own, ceiling, tenants };
        let parts = Parts {
            files: shared.files.clone(),
            http: shared.http.clone(),
            model: model.clone(),
            retry: retry(&spec.retry),
            permits: shared.permits.clone(),
            servers: shared.servers.clone(),
            hooks: interpreter.routes.hooks.clone(),
            secrets: shared.secrets.clone(),
            tenants: shared.tenants.clone(),
        };
        Toolbox::open(ctx, &spec.tools, &parts, guard).await
    }
}

/// Reads the canonical specification of a version.
pub(super) fn read(spec: &[u8]) -> Result<Spec, Failure> {
    let text = str::from_utf8(spec).unwrap_or_default();
    tenure_spec::parse(text).map_err(|problems| unreadable(&problems))
}

/// The form of the answer is told in words: not every provider takes a schema, and those that do
/// take different parts of the standard.
fn system(instructions: &str, output: Option<&Output>) -> String {
    match output {
        None => instructions.into(),
        Some(output) => format!("{instructions}\n\n{}", output.request()).trim_start().into(),
    }
}

fn retry(retry: &tenure_spec::Retry) -> Retry {
    Retry {
        attempts: retry.attempts,
        backoff: retry.backoff.0,
        max_backoff: retry.max_backoff.0,
        ..Retry::default()
    }
}

fn unreadable(problems: &tenure_spec::Problems) -> Failure {
    let message = format!("this worker does not understand the specification: {problems}");
    Failure::permanent("spec_unreadable", message)
}

fn external(spec: &Spec) -> Failure {
    Failure::permanent(
        "agent_external",
        format!(
            "agent `{}` is `kind: external`, and pool `{}` is served by the stock worker; give \
             the agent a pool that only its own worker serves",
            spec.name, spec.pool
        ),
    )
}
