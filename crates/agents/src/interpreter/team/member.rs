//! The turn of one member.

use tenure_sdk::{Failure, Stop};
use tenure_spec::team::{Member, PERSON};
use tenure_spec::{Spec, template};

use super::control::Floor;
use super::{Said, State, Table, of_member};
use crate::interpreter::agent::Agent;
use crate::interpreter::budget::Purse;
use crate::interpreter::turns;
use crate::model::Message;

impl Table<'_> {
    /// Has a member speak. What it said becomes part of the conversation; gives to whom it has handed
    /// over.
    pub(super) async fn speak(
        &self,
        turn: u32,
        name: &str,
        state: &mut State,
    ) -> Result<Option<String>, Stop> {
        let Some(member) = self.team.members.iter().find(|member| member.name == name) else {
            return Err(Stop::failed("team_member", format!("there is no member `{name}`")));
        };
        let scope = self.ctx.scope(&format!("turn/{turn}/{name}"))?;
        let spec = self.spec_of(member, state).map_err(|failure| failed(name, failure))?;
        let agent = Agent::open(&scope, spec, self.interpreter).await;
        let agent = agent.map_err(|stop| of_member(name, stop))?;
        let mut floor = Floor::new(self.team, member, state.variables.clone());
        let heard = heard(&state.said, name);
        let mut purse = Purse::new([&mut state.budget]);
        let answer = turns::answer(&agent, &scope, heard, &mut purse, &mut floor).await;
        let answer = answer.map_err(|stop| of_member(name, stop))?;
        let Floor { variables, transfer, .. } = floor;
        state.variables = variables;
        let text = answer.as_str().unwrap_or_default().trim();
        if !text.is_empty() {
            state.said.push(Said::new(name, text.to_owned()));
        }
        Ok(transfer)
    }

    /// What a member is as an agent by itself.
    fn spec_of(&self, member: &Member, state: &State) -> Result<Spec, Failure> {
        let told = template::render(&member.instructions, &state.variables);
        let told = told.map_err(|problem| {
            Failure::permanent("team_template", format!("`instructions`: {problem}"))
        })?;
        Ok(Spec {
            instructions: format!("{told}\n\n{}", self.introduced(member)).trim_start().into(),
            model: member.model.clone().or_else(|| self.base.model.clone()),
            tools: member.tools.clone(),
            ..self.base.clone()
        })
    }

    /// What a member has to know of the others.
    fn introduced(&self, member: &Member) -> String {
        let others = self.team.members.iter().filter(|other| other.name != member.name);
        let others = listed(others);
        let name = &member.name;
        format!(
            "You are `{name}`, one of a team. The others:\n{others}\nWhat they say stands here as \
             `NAME: text`; what the person says whom you all work for stands here without a name. \
             Give what you say without a name."
        )
    }
}

/// Members with what they are good for, each on a line.
pub(super) fn listed<'a>(members: impl Iterator<Item = &'a Member>) -> String {
    let lines: Vec<_> =
        members.map(|member| format!("- {}: {}", member.name, member.description)).collect();
    lines.join("\n")
}

/// The conversation as one of the members hears it.
fn heard(said: &[Said], name: &str) -> Vec<Message> {
    let hear = |said: &Said| match said.from.as_str() {
        own if own == name => Message::Assistant { text: said.text.clone(), calls: Vec::new() },
        PERSON => Message::user(&said.text),
        other => Message::user(format!("{other}: {}", said.text)),
    };
    let mut heard: Vec<Message> = said.iter().map(hear).collect();
    // Models answer somebody: who speaks twice is told to.
    if matches!(heard.last(), Some(Message::Assistant { .. })) {
        heard.push(Message::user("Go on."));
    }
    heard
}

fn failed(name: &str, failure: Failure) -> Stop {
    of_member(name, Stop::Failed(failure))
}
