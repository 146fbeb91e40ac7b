//! Nodes that do several things at the same time.
//!
//! Each is done in a scope of its own and with what was left of the limits when all of them began, so
//! that nothing depends on which of them is faster. What they used is added up when all have ended. To
//! agents that they call, each can hand down an equal share of what was left.

use serde_json::{Map, Value, json};
use tenure_sdk::{Context, Failure, Stop, join, limits};
use tenure_spec::DataType;
use tenure_spec::graph::{Action, Branch, MapNode, ParallelNode};

use super::attempt::{Made, Outcome, Visit};
use super::data::Data;
use super::{Machine, State, key_part};
use crate::interpreter::answer::unfenced;

/// Elements of one list: with a few steps each, a journal has room for many such nodes.
const ELEMENTS: usize = 1_000;

/// One of the things that are done at the same time.
struct Task<'a> {
    /// How people call it.
    name: String,
    scope: Context,
    action: &'a Action,
    input: Result<Data, Failure>,
    state: State,
}

/// How a thing ended, and what it used.
type Ended = (Result<Data, Failure>, State);

impl Machine<'_> {
    pub(super) async fn map(
        &self,
        visit: &Visit<'_>,
        node: &MapNode,
        state: &mut State,
    ) -> Result<Made, Stop> {
        let items = match elements(node, visit.input, state) {
            Ok(items) => items,
            Err(failure) => return Ok(Err(failure.into())),
        };
        self.prepare(visit.action, state).await?;
        let mut outputs = Vec::with_capacity(items.len());
        let at_once = usize::try_from(node.at_once).unwrap_or(1).max(1);
        for (wave, items) in items.chunks(at_once).enumerate() {
            let mut tasks = Vec::new();
            for (place, item) in items.iter().enumerate() {
                let state = state.fork(items.len());
                tasks.push(element(visit, node, wave * at_once + place, item, state)?);
            }
            match self.together(visit, tasks, node.keep_failures, state).await? {
                Ok(made) => outputs.extend(made.into_iter().map(|(_, value)| value)),
                Err(failure) => return Ok(Err(failure.into())),
            }
        }
        Ok(collected(outputs.into()))
    }

    pub(super) async fn parallel(
        &self,
        visit: &Visit<'_>,
        node: &ParallelNode,
        state: &mut State,
    ) -> Result<Made, Stop> {
        self.prepare(visit.action, state).await?;
        let (branches, among) = (node.branches.iter(), node.branches.len());
        let tasks =
            branches.map(|(name, branch)| self::branch(visit, name, branch, state.fork(among)));
        let tasks = tasks.collect::<Result<Vec<_>, _>>()?;
        Ok(match self.together(visit, tasks, node.keep_failures, state).await? {
            Ok(made) => collected(Value::Object(made.into_iter().collect::<Map<_, _>>())),
            Err(failure) => Err(failure.into()),
        })
    }

    /// Does what must not depend on which of several things comes to it first.
    async fn prepare(&self, action: &Action, state: &mut State) -> Result<(), Stop> {
        if action.any(&|action| matches!(action, Action::Hook(_))) {
            self.began(state).await?;
        }
        Ok(())
    }

    /// Does all of it. The first failure in their order is that of all, unless failures are kept.
    async fn together(
        &self,
        visit: &Visit<'_>,
        tasks: Vec<Task<'_>>,
        keep_failures: bool,
        state: &mut State,
    ) -> Result<Result<Vec<(String, Value)>, Failure>, Stop> {
        let names: Vec<String> = tasks.iter().map(|task| task.name.clone()).collect();
        let ended = join(tasks.into_iter().map(|task| self.execute(visit, task))).await?;
        let (made, states): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        state.budget.join(states.into_iter().map(|state| state.budget));
        let told = |(name, made): (String, Result<Data, Failure>)| match made {
            Ok(output) => Ok((name, output.value)),
            Err(Failure { code, message, .. }) if keep_failures => {
                Ok((name, json!({"error": {"code": code, "message": message}})))
            }
            Err(failure) => {
                let message = format!("`{name}`: {}", failure.message);
                Err(Failure { message, ..failure })
            }
        };
        Ok(names.into_iter().zip(made).map(told).collect())
    }

    /// Does one of the things, as often as its failures may be tried again.
    async fn execute(&self, visit: &Visit<'_>, task: Task<'_>) -> Result<Ended, Stop> {
        let Task { scope, action, input, mut state, .. } = task;
        let input = match input {
            Ok(input) => input,
            Err(failure) => return Ok((Err(failure), state)),
        };
        let mut failure = None;
        for attempt in 1..=self.attempts(visit.node, action) {
            self.pause(visit.node, attempt, &scope).await?;
            let visit = Visit { node: visit.node, action, input: &input, scope: &scope, attempt };
            // A thing inside may be several things again.
            match Box::pin(self.attempt(&visit, &mut state)).await? {
                Ok(made) => return Ok((Ok(made.output), state)),
                Err(made) => failure = Some(made.failure),
            }
        }
        let failure = failure.unwrap_or_else(|| Failure::permanent("graph_failed", "failed"));
        Ok((Err(failure), state))
    }
}

/// The list that is gone through.
fn elements(node: &MapNode, input: &Data, state: &State) -> Result<Vec<Value>, Failure> {
    let over = match node.over.as_deref() {
        None => &input.value,
        Some(path) => state.variables.at(path)?,
    };
    let list = match over {
        Value::Array(list) => Some(list.clone()),
        Value::String(text) => serde_json::from_str(unfenced(text)).ok(),
        _ => None,
    };
    let wrong = |message: String| Failure::permanent("graph_list", message);
    let Some(list) = list else {
        let start: String = over.to_string().chars().take(100).collect();
        return Err(wrong(format!("it goes through a list, and this is none: {start}")));
    };
    if list.len() > ELEMENTS {
        let count = list.len();
        return Err(wrong(format!("the list has {count} elements, more than {ELEMENTS}")));
    }
    Ok(list)
}

fn element<'a>(
    visit: &Visit<'_>,
    node: &'a MapNode,
    index: usize,
    item: &Value,
    mut state: State,
) -> Result<Task<'a>, Stop> {
    let input = Data::guess(item.clone());
    state.variables.set("item", &input);
    state.variables.set("index", &Data::new(DataType::Int, index));
    let scope = visit.scope.scope(&format!("item/{index}"))?;
    let input = state.variables.filled(node.template.as_deref(), &input);
    Ok(Task { name: index.to_string(), scope, action: &node.action, input, state })
}

fn branch<'a>(
    visit: &Visit<'_>,
    name: &str,
    branch: &'a Branch,
    state: State,
) -> Result<Task<'a>, Stop> {
    let scope = visit.scope.scope(&format!("branch/{}", key_part(name)))?;
    let input = branch.input.as_deref().map_or(Ok(visit.input), |name| state.variables.get(name));
    let input = input.and_then(|input| state.variables.filled(branch.template.as_deref(), input));
    Ok(Task { name: name.to_owned(), scope, action: &branch.action, input, state })
}

/// The outputs of all, unless they are more than a step may give.
fn collected(value: Value) -> Made {
    let size = value.to_string().len();
    if size > limits::PAYLOAD {
        let most = limits::PAYLOAD;
        let message = format!("its outputs are {size} bytes together, more than {most}");
        return Err(Failure::permanent("graph_size", message).into());
    }
    Ok(Outcome { output: Data::new(DataType::Json, value), value: "ok".into() })
}
