//! What the journal keeps of each attempt.

use serde::{Deserialize, Serialize};
use tenure_sdk::{EntryKind, Failure, Retry, Stop};
use tenure_spec::DataType;

use super::attempt::{Made, Outcome, Visit};
use super::data::Data;
use super::{Machine, State, transition};

/// What the journal keeps of an attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Attempted {
    node: String,
    /// Counted from 1.
    attempt: u32,
    input_type: DataType,
    output_type: DataType,
    /// What the output is once it is composed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    composed_type: Option<DataType>,
    /// What the transitions looked at.
    value: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Where the run goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    /// What it was given, as text, if the graph wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    /// What it gave, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

impl Machine<'_> {
    /// Records how an attempt ended and where the run goes; what was recorded before counts.
    pub(super) async fn record(
        &self,
        visit: &Visit<'_>,
        made: Made,
        composed: Option<&Result<Data, Failure>>,
        state: &State,
    ) -> Result<(Result<Outcome, Failure>, Attempted), Stop> {
        let Visit { node, input, scope, attempt, .. } = *visit;
        let attempted = || {
            let (output, value, error, next) = match &made {
                Ok(made) => {
                    let output =
                        composed.and_then(|made| made.as_ref().ok()).unwrap_or(&made.output);
                    let scene = visit.scene(output, &made.value, state);
                    let next = transition::choose(&node.next, &scene).ok();
                    (&made.output, &made.value, None, next.map(ToOwned::to_owned))
                }
                Err(made) => (&made.output, &made.value, Some(&made.failure.message), None),
            };
            Attempted {
                node: node.name.clone(),
                attempt,
                input_type: input.kind,
                output_type: output.kind,
                composed_type: composed.and_then(|made| Some(made.as_ref().ok()?.kind)),
                value: value.clone(),
                error: error.cloned(),
                next,
                input: self.graph.debug.then(|| input.shown()),
                output: self.graph.debug.then(|| output.shown()),
            }
        };
        let step = scope.step("attempt").kind(EntryKind::Marker).retry(Retry::NONE);
        let attempted: Attempted = step.run(|_| std::future::ready(Ok(attempted()))).await?;
        let made = match (made, &attempted.error) {
            (Ok(_), Some(error)) => Err(Failure::permanent("graph_failed", error.as_str())),
            (Err(made), None) => {
                let message = format!(
                    "node `{}` succeeded before, and now {}",
                    node.name, made.failure.message
                );
                return Err(Stop::Blocked(Failure::permanent("mismatch", message)));
            }
            (made, _) => made.map_err(|made| made.failure),
        };
        Ok((made, attempted))
    }
}
