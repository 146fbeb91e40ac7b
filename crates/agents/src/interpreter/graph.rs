//! Graphs: from node to node until an end.
//!
//! Where a run goes follows from the version and from what is recorded. The journal of a node's
//! visit reads like this, for the second visit of `rate`, whose first attempt failed:
//!
//! ```text
//! rate/1/model        the reply, which was no number
//! rate/1/attempt      that it failed, and why
//! rate/1/model#1      the next reply
//! rate/1/attempt#1    its value, and where the run goes
//! ```

mod agent;
mod ask;
mod attempt;
mod chat;
mod compose;
mod data;
mod fan;
mod interrupt;
mod parse;
mod record;
mod tool;
mod transition;
mod variables;

use std::collections::BTreeMap;

use tenure_sdk::{Context, Failure, Payload, Stop, limits};
use tenure_spec::graph::{Action, Graph, GraphNode};
use tenure_spec::{Kind, Spec};

use super::budget::Budget;
use super::{Interpreter, Routes, conversation};
use attempt::{Made, Outcome, Visit};
use data::Data;
use variables::Variables;

/// Executes a run of a graph.
pub(super) async fn run(
    spec: &Spec,
    graph: &Graph,
    interpreter: &Interpreter,
    ctx: &Context,
    input: &Payload,
) -> Result<Payload, Stop> {
    let client = conversation::read(input).map_err(Stop::Failed)?.is_some();
    let input = Data::of_run(&graph.input, input).map_err(Stop::Failed)?;
    let machine = Machine {
        graph,
        base: Spec { kind: Kind::Agent, graph: None, ..spec.clone() },
        routes: &interpreter.routes,
        interpreter,
        ctx,
    };
    let mut state = State {
        variables: Variables::new(&input),
        last: input,
        visits: BTreeMap::new(),
        budget: Budget::of_run(&spec.limits, ctx).await?,
        began: None,
    };
    let mut node = graph.nodes.first();
    while let Some(here) = node {
        let to = machine.visit(here, &mut state).await?;
        node = graph.nodes.iter().find(|node| node.name == to);
    }
    if client {
        return Ok(conversation::written(&state.last.answer())?);
    }
    Ok(Payload::json(serde_json::to_vec(&state.last.value)?))
}

/// What stays the same during a run.
pub(super) struct Machine<'a> {
    graph: &'a Graph,
    /// The specification, as that of an agent: what holds for the nodes that are like one.
    base: Spec,
    routes: &'a Routes,
    interpreter: &'a Interpreter,
    ctx: &'a Context,
}

/// What a run has come to.
pub(super) struct State {
    variables: Variables,
    /// The last output there was; first, the input of the run.
    last: Data,
    visits: BTreeMap<String, u32>,
    budget: Budget,
    /// When the run began, once a hook had to be told.
    began: Option<String>,
}

/// An attempt that succeeded.
struct Ended {
    outcome: Outcome,
    /// Its output once it is composed.
    composed: Option<Data>,
    /// Where the run goes, if any way fits.
    next: Option<String>,
}

impl State {
    /// What one of so many things that are done at the same time begins with.
    fn fork(&self, among: usize) -> Self {
        Self {
            variables: self.variables.clone(),
            last: Data::nothing(),
            visits: BTreeMap::new(),
            budget: self.budget.fork(among),
            began: self.began.clone(),
        }
    }
}

impl Machine<'_> {
    /// Visits a node; gives the name of the next one, or `end`.
    async fn visit(&self, node: &GraphNode, state: &mut State) -> Result<String, Stop> {
        let visits = state.visits.entry(node.name.clone()).or_default();
        let scope = self.ctx.scope(&format!("{}/{visits}", key_part(&node.name)))?;
        *visits += 1;
        if node.visits.is_some_and(|bound| *visits > bound) {
            let why = format!("was visited {} times, its bound", *visits - 1);
            return on_failure(node, &Failure::permanent("graph_visits", why));
        }
        let input = state.variables.input(node, &state.last).map_err(|why| fault(node, &why))?;
        let mut failure = None;
        let attempts = self.attempts(node, &node.action);
        for attempt in 1..=attempts {
            self.pause(node, attempt, &scope).await?;
            let visit = Visit { node, action: &node.action, input: &input, scope: &scope, attempt };
            let made = self.attempt(&visit, state).await?;
            let composed = composed(node, &made, state);
            match self.record(&visit, made, composed.as_ref(), state).await? {
                (Ok(outcome), attempted) => {
                    let composed = composed.transpose().map_err(|why| fault(node, &why))?;
                    let ended = Ended { outcome, composed, next: attempted.next };
                    return self.succeed(&visit, ended, state).await;
                }
                (Err(failed), _) => failure = Some(failed),
            }
        }
        let failure = failure.unwrap_or_else(|| Failure::permanent("graph_failed", "failed"));
        let message = format!("failed after {attempts} attempts: {}", failure.message);
        on_failure(node, &Failure { message, ..failure })
    }

    fn retry<'s>(&'s self, node: &'s GraphNode) -> &'s tenure_spec::Retry {
        node.retry.as_ref().unwrap_or(&self.base.retry)
    }

    /// How often a node tries what it does, or one of the things that it does.
    fn attempts(&self, node: &GraphNode, action: &Action) -> u32 {
        match action {
            // The step of a tool tries again by itself, under one idempotency key; of several things
            // each does.
            Action::Tool(_) | Action::Map(_) | Action::Parallel(_) => 1,
            // They have tried what they could, or have asked a person.
            Action::Call(_) | Action::Agent(_) | Action::Interrupt(_) => {
                node.retry.as_ref().map_or(1, |retry| retry.attempts)
            }
            _ => self.retry(node).attempts,
        }
    }

    /// The pause before an attempt: none before the first, then doubling.
    async fn pause(&self, node: &GraphNode, attempt: u32, scope: &Context) -> Result<(), Stop> {
        let retry = self.retry(node);
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(2));
        let pause = retry.backoff.0.saturating_mul(doubled).min(retry.max_backoff.0);
        if attempt == 1 || pause.is_zero() { Ok(()) } else { scope.sleep(pause).await }
    }

    /// Makes the output known and finds the way on.
    async fn succeed(
        &self,
        visit: &Visit<'_>,
        ended: Ended,
        state: &mut State,
    ) -> Result<String, Stop> {
        let Ended { outcome, composed, next } = ended;
        let node = visit.node;
        if let Some(composed) = &composed {
            state.variables.set(&format!("{}_composed", node.name), composed);
        }
        let output = composed.unwrap_or(outcome.output);
        state.variables.set("previous_output", &output);
        state.variables.set(&node.name, &output);
        state.last = output;
        if let Some(print) = &node.print {
            let line = state.variables.render("print", print);
            visit.scope.log(line.map_err(|why| fault(node, &why))?).await?;
        }
        match next {
            Some(next) => Ok(next),
            None => match transition::choose(
                &node.next,
                &visit.scene(&state.last, &outcome.value, state),
            ) {
                Ok(next) => Ok(next.to_owned()),
                Err(why) => Err(fault(node, &why)),
            },
        }
    }
}

/// What the output of an attempt comes to, put together with a variable.
fn composed(node: &GraphNode, made: &Made, state: &State) -> Option<Result<Data, Failure>> {
    let (compose, made) = (node.compose.as_ref()?, made.as_ref().ok()?);
    Some(compose::apply(compose, made.output.clone(), &state.variables))
}

/// Where a run goes from a node that failed for good.
fn on_failure(node: &GraphNode, failure: &Failure) -> Result<String, Stop> {
    match &node.on_failure {
        Some(to) => Ok(to.clone()),
        None => Err(fault(node, failure)),
    }
}

/// Fails the run: nothing else would mend this.
fn fault(node: &GraphNode, failure: &Failure) -> Stop {
    let message = format!("node `{}`: {}", node.name, failure.message);
    Stop::Failed(Failure { message, ..failure.clone() })
}

/// A name as a part of a key. Names that become equal are told apart by their order.
fn key_part(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    name.chars().take(limits::NAME).map(fit).collect()
}
