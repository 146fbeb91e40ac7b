//! Nodes that are agents.

use tenure_sdk::{Failure, Stop};
use tenure_spec::Spec;
use tenure_spec::graph::AgentNode;

use super::attempt::{Made, Visit, caught};
use super::chat::Chat;
use super::data::Data;
use super::tool::given;
use super::{Machine, State};
use crate::interpreter::agent::Agent;
use crate::interpreter::budget::{Budget, Purse};
use crate::interpreter::control::Uncontrolled;
use crate::interpreter::turns;
use crate::model::Message;

/// Which of the budgets is the run's.
const OF_RUN: usize = 1;

impl Machine<'_> {
    /// Lets a model use tools until it has an answer. Its turns count for the run as well.
    pub(super) async fn agent(
        &self,
        visit: &Visit<'_>,
        node: &AgentNode,
        state: &mut State,
    ) -> Result<Made, Stop> {
        let spec = match self.spec_of(node, state) {
            Ok(spec) => spec,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let agent = match caught(Agent::open(visit.scope, spec, self.interpreter).await)? {
            Ok(agent) => agent,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let mut own = Budget::start(&agent.limits, visit.scope).await?;
        let mut purse = Purse::new([&mut own, &mut state.budget]);
        let messages = messages(visit.input);
        let answer =
            turns::answer(&agent, visit.scope, messages, &mut purse, &mut Uncontrolled).await;
        match answer {
            // Where the run has to end, no node can go on.
            Err(stop) if purse.was_refused_by(OF_RUN) => Err(stop),
            answer => Ok(caught(answer)?.map(given).map_err(Box::from)),
        }
    }

    /// What the node is as an agent by itself.
    fn spec_of(&self, node: &AgentNode, state: &State) -> Result<Spec, Failure> {
        Ok(Spec {
            instructions: state.variables.render("instructions", &node.instructions)?,
            model: node.model.clone().or_else(|| self.base.model.clone()),
            tools: node.tools.clone(),
            output: node.output.clone(),
            limits: node.limits.clone(),
            ..self.base.clone()
        })
    }
}

/// The conversation that is gone on with; any other input is its first message.
fn messages(input: &Data) -> Vec<Message> {
    if let Some(chat) = Chat::of(input) {
        return chat.request();
    }
    let text = input.text().unwrap_or_else(|_| input.value.to_string());
    vec![Message::user(text)]
}
