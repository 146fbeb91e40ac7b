//! Teams: members who take turns in one conversation.
//!
//! Who speaks follows from the version and from what is recorded. The journal reads like the
//! conversation:
//!
//! ```text
//! turn/0/triage/turn/0/model      the first member: what it said, or called
//! turn/0/triage/turn/0/call/0/…   what its tools did
//! turn/0/select/0/model           who speaks next, if a model chooses
//! turn/1/writer/turn/0/model      the next member
//! turn/1/person                   the question to the person
//! ```

mod control;
mod member;
mod next;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tenure_sdk::{Context, Decision, Failure, Payload, QuestionKind, Stop, TIMED_OUT};
use tenure_spec::conversation::{Conversation, Said as Told};
use tenure_spec::team::{Gives, PERSON, Pattern, Team};
use tenure_spec::{Kind, Spec};

use super::budget::Budget;
use super::{Interpreter, conversation, input};
use next::Next;

/// Executes a run of a team.
pub(super) async fn run(
    spec: &Spec,
    team: &Team,
    interpreter: &Interpreter,
    ctx: &Context,
    input: &Payload,
) -> Result<Payload, Stop> {
    let seed = match team.pattern {
        Pattern::Random => ctx.random().await?,
        _ => 0,
    };
    let base = Spec { kind: Kind::Agent, team: None, ..spec.clone() };
    let table = Table { team, base, interpreter, ctx, seed };
    let client = conversation::read(input).map_err(Stop::Failed)?;
    let said = match &client {
        Some(client) => gone_before(client, &team.entry),
        None => vec![Said::new(PERSON, input::text(input).map_err(Stop::Failed)?)],
    };
    let mut state = State {
        said,
        variables: team.variables.clone(),
        budget: Budget::of_run(&spec.limits, ctx).await?,
    };
    table.work(&mut state).await?;
    let given = state.given(team.output);
    match client {
        Some(_) => Ok(conversation::written(&conversation::said(given))?),
        None => Ok(Payload::json(serde_json::to_vec(&given)?)),
    }
}

/// What was said in a conversation that a client keeps: by the person, or by the team, for which its
/// first member stands in. Tools of the client are none of the team's.
fn gone_before(client: &Conversation, entry: &str) -> Vec<Said> {
    let told = client.messages.iter().filter_map(|message| match message {
        Told::System { content } | Told::User { content } => {
            Some(Said::new(PERSON, content.clone()))
        }
        Told::Assistant { content, .. } => Some(Said::new(entry, content.clone())),
        Told::Tool { .. } => None,
    });
    told.filter(|said| !said.text.trim().is_empty()).collect()
}

/// What stays the same during a run.
struct Table<'a> {
    team: &'a Team,
    /// The specification, as that of an agent: what holds for each member.
    base: Spec,
    interpreter: &'a Interpreter,
    ctx: &'a Context,
    /// What chance follows from.
    seed: u64,
}

/// What a run has come to.
struct State {
    said: Vec<Said>,
    variables: Map<String, Value>,
    budget: Budget,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Said {
    /// A member, or [`PERSON`].
    from: String,
    text: String,
}

impl Table<'_> {
    /// Has member after member speak until an end.
    async fn work(&self, state: &mut State) -> Result<(), Stop> {
        let mut speaker = self.team.entry.clone();
        for turn in 0..self.team.turns {
            let transfer = self.speak(turn, &speaker, state).await?;
            let over = turn + 1 == self.team.turns || state.budget.is_over();
            if over || self.is_done(turn, &speaker, state)? {
                return Ok(());
            }
            speaker = match self.next(turn, &speaker, transfer, state).await? {
                Next::Member(name) => name,
                Next::End => return Ok(()),
                Next::Person => match self.ask(turn, &speaker, state).await? {
                    Some(name) => name,
                    None => return Ok(()),
                },
            };
        }
        Ok(())
    }

    /// Asks the person, whose answer is the next message; gives who speaks after that. A person who
    /// rejects, or does not answer in time, ends the run.
    async fn ask(
        &self,
        turn: u32,
        speaker: &str,
        state: &mut State,
    ) -> Result<Option<String>, Stop> {
        let about = state.last(speaker);
        let place = self.ctx.scope(&format!("turn/{turn}"))?;
        let question = place.interrupt(PERSON).kind(QuestionKind::Input).title(&about.text);
        let mut question = question.payload(&about).schema(&json!({"type": "string"}));
        if let Some(assignee) = &self.team.person.assignee {
            question = question.assignee(assignee);
        }
        if let Some(timeout) = self.team.person.timeout {
            question = question.timeout(timeout.0);
        }
        let answer = match question.ask::<String>().await {
            Err(Stop::Failed(failure)) if failure.code == TIMED_OUT => return Ok(None),
            answer => answer?,
        };
        if answer.decision == Decision::Reject {
            return Ok(None);
        }
        state.said.push(Said::new(PERSON, answer.value.unwrap_or_default()));
        self.after_person(turn, speaker, state)
    }
}

impl State {
    /// The last message, if it is of that speaker; else that it said nothing.
    fn last(&self, speaker: &str) -> Said {
        let last = self.said.last().filter(|said| said.from == speaker);
        last.cloned().unwrap_or_else(|| Said::new(speaker, String::new()))
    }

    fn given(&self, wanted: Gives) -> Value {
        let of_member = |said: &&Said| said.from != PERSON;
        match wanted {
            Gives::Message => {
                let last = self.said.iter().rev().find(of_member);
                last.map_or_else(String::new, |said| said.text.clone()).into()
            }
            Gives::Conversation => json!({"messages": self.said, "variables": self.variables}),
        }
    }
}

impl Said {
    fn new(from: &str, text: String) -> Self {
        Self { from: from.into(), text }
    }
}

/// Names the member in a failure of its turn.
fn of_member(name: &str, stop: Stop) -> Stop {
    match stop {
        Stop::Failed(failure) => {
            let message = format!("member `{name}`: {}", failure.message);
            Stop::Failed(Failure { message, ..failure })
        }
        stop => stop,
    }
}
