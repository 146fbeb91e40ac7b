//! Nodes that call tools and agents.

use serde_json::Value;
use tenure_sdk::{Failure, Stop};
use tenure_spec::graph::{CallNode, ToolNode};
use tenure_spec::{Spec, template};

use super::attempt::{Made, Outcome, Visit, caught};
use super::data::Data;
use super::{Machine, State};
use crate::interpreter::agent::Agent;
use crate::model::ToolCall;

impl Machine<'_> {
    /// Calls a tool, like a model would.
    pub(super) async fn tool(
        &self,
        visit: &Visit<'_>,
        node: &ToolNode,
        state: &mut State,
    ) -> Result<Made, Stop> {
        let arguments = match arguments(node, visit.input, state) {
            Ok(arguments) => arguments,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let spec = Spec {
            tools: vec![node.tool.clone()],
            retry: self.retry(visit.node).clone(),
            ..self.base.clone()
        };
        let opened = async {
            let model = Agent::model(&spec, self.interpreter)?;
            Agent::tools(visit.scope, &spec, &model, self.interpreter).await
        };
        let tools = match caught(opened.await)? {
            Ok(tools) => tools,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let name = node.called().to_owned();
        let call = ToolCall { id: String::new(), name, arguments, signatures: Vec::new() };
        let metered = tools.metered([&call]);
        if !state.budget.admit_calls(visit.scope, 1, metered).await? {
            return Err(Stop::failed("limit", "a limit of the run is reached"));
        }
        let output = caught(tools.output(visit.scope, &call).await)?;
        Ok(match output {
            Ok(output) => {
                state.budget.spend(&output.usage);
                Ok(given(output.value))
            }
            Err(failure) => Err(failure.into()),
        })
    }

    /// Has another agent do it, as a run of its own.
    pub(super) async fn call(&self, visit: &Visit<'_>, node: &CallNode) -> Result<Made, Stop> {
        let call = visit.scope.call(&node.agent, &visit.input.value);
        let call = call.version(node.version.as_deref().unwrap_or_default());
        let outcome = call.outcome::<Value>().await?;
        Ok(outcome.map(given).map_err(|failure| {
            let message = format!("agent `{}`: {}", node.agent, failure.message);
            Failure { message, ..failure }.into()
        }))
    }
}

/// What came from outside, as what it looks like. The transitions see its text, or else `ok`.
pub(super) fn given(value: Value) -> Outcome {
    let output = Data::guess(value);
    let value = output.text().unwrap_or_else(|_| "ok".into());
    Outcome { output, value }
}

fn arguments(node: &ToolNode, input: &Data, state: &State) -> Result<Value, Failure> {
    let Some(arguments) = &node.arguments else {
        return Ok(input.value.clone());
    };
    let filled = template::fill_fields(arguments, state.variables.map());
    filled
        .map(Value::Object)
        .map_err(|problem| Failure::permanent("graph_template", format!("`arguments`: {problem}")))
}
