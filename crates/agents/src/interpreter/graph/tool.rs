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
        let metered = tools.metered([&call]) > 0;
        state.budget.admit_call(visit.scope, metered).await?;
        let place = visit.scope.within(state.budget.share(1));
        let output = caught(tools.output(&place, &call).await)?;
        Ok(output.map_err(Box::from).and_then(|output| {
            state.budget.spend(&output.usage);
            output.result.map(given).map_err(Box::from)
        }))
    }

    /// Has another agent do it, as a run of its own.
    pub(super) async fn call(
        &self,
        visit: &Visit<'_>,
        node: &CallNode,
        state: &mut State,
    ) -> Result<Made, Stop> {
        state.budget.admit_call(visit.scope, true).await?;
        let call = visit.scope.call(&node.agent, &visit.input.value);
        let call = call.version(node.version.as_deref().unwrap_or_default());
        let call = call.budget(state.budget.share(1));
        let (outcome, usage) = call.metered::<Value>().await?;
        state.budget.spend(&usage);
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
