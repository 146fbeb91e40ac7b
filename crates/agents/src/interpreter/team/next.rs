//! Who speaks next.

use serde_json::{Value, json};
use tenure_sdk::Stop;
use tenure_spec::team::{ANYBODY, END, Handoff, Member, PERSON, Pattern};
use tenure_spec::{Expression, Spec};

use super::member::listed;
use super::{Said, State, Table};
use crate::interpreter::agent::Agent;
use crate::interpreter::budget::Turn;
use crate::interpreter::turns::{Asked, ask, said};
use crate::model::Message;

/// How often a model is asked to choose before the run fails.
const CHOICES: u32 = 3;

/// What comes after a turn.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Member(String),
    Person,
    End,
}

impl Next {
    fn named(name: &str) -> Self {
        match name {
            END => Self::End,
            PERSON => Self::Person,
            name => Self::Member(name.to_owned()),
        }
    }
}

impl Table<'_> {
    /// Whether the message that a turn ended with was the last one.
    pub(super) fn is_done(&self, turn: u32, speaker: &str, state: &State) -> Result<bool, Stop> {
        match &self.team.until {
            Some(until) => holds("until", until, turn, &state.last(speaker), state),
            None => Ok(false),
        }
    }

    /// What comes after the turn of a member: what it chose, a rule, or the pattern.
    pub(super) async fn next(
        &self,
        turn: u32,
        speaker: &str,
        transfer: Option<String>,
        state: &mut State,
    ) -> Result<Next, Stop> {
        if let Some(to) = transfer {
            return Ok(Next::named(&to));
        }
        if let Some(rule) = self.rule(turn, speaker, state)? {
            return Ok(Next::named(&rule.to));
        }
        let members = &self.team.members;
        let place = members.iter().position(|member| member.name == speaker).unwrap_or_default();
        match self.team.pattern {
            Pattern::Rules | Pattern::Model => Ok(Next::End),
            Pattern::Auto => self.choose(turn, state).await,
            Pattern::RoundRobin => Ok(nth(members, place + 1)),
            Pattern::Random => {
                let others = members.len().saturating_sub(1).max(1) as u64;
                let ahead = usize::try_from(mixed(self.seed, turn) % others).unwrap_or_default();
                Ok(nth(members, place + 1 + ahead))
            }
        }
    }

    /// Who speaks after the person has answered: a rule, or else the member that asked.
    pub(super) fn after_person(
        &self,
        turn: u32,
        asked: &str,
        state: &State,
    ) -> Result<Option<String>, Stop> {
        let to = self.rule(turn, PERSON, state)?.map_or(asked, |rule| rule.to.as_str());
        Ok((to != END).then(|| to.to_owned()))
    }

    /// The first rule that fits.
    fn rule(&self, turn: u32, from: &str, state: &State) -> Result<Option<&Handoff>, Stop> {
        let message = state.last(from);
        let of = |rule: &Handoff| rule.from == from || (rule.from == ANYBODY && from != PERSON);
        for (place, rule) in self.team.handoffs.iter().enumerate().filter(|(_, rule)| of(rule)) {
            let field = format!("handoffs[{place}].when");
            let when = rule.when.as_ref();
            if when.map_or(Ok(true), |when| holds(&field, when, turn, &message, state))? {
                return Ok(Some(rule));
            }
        }
        Ok(None)
    }

    /// Has a model choose.
    async fn choose(&self, turn: u32, state: &mut State) -> Result<Next, Stop> {
        let agent = Agent::open(self.ctx, self.selector(), self.interpreter).await?;
        let told = state.said.iter().map(|said| format!("{}: {}\n\n", said.from, said.text));
        let question = "Who speaks next? Answer with one name alone.";
        let mut messages = vec![Message::user(told.collect::<String>() + question)];
        for number in 0..CHOICES {
            let scope = self.ctx.scope(&format!("turn/{turn}/select/{number}"))?;
            if state.budget.next_turn(&scope).await? {
                return Ok(Next::End);
            }
            let turn = Turn { scope, last: false };
            let Asked { reply, .. } = loop {
                let asked = ask(&agent, &turn, messages.clone(), Vec::new(), false).await;
                if let Some(asked) = state.budget.paid(&turn.scope, asked).await? {
                    break asked;
                }
            };
            state.budget.spend(&reply.usage);
            if let Some(name) = named(&reply.text, &self.team.members) {
                return Ok(Next::named(name));
            }
            messages.extend([
                said(&reply),
                Message::user("That is none of the names. ".to_owned() + question),
            ]);
        }
        let message =
            format!("the model that chooses who speaks next named nobody {CHOICES} times");
        Err(Stop::failed("team_selection", message))
    }

    /// Who chooses, as an agent by itself.
    fn selector(&self) -> Spec {
        let selector = &self.team.selector;
        let members = listed(self.team.members.iter());
        let instructions = format!(
            "You choose who speaks next in the conversation of a team. The members:\n{members}\n- {END}: \
             the work is done.\n\n{}",
            selector.instructions
        );
        let model = selector.model.clone().or_else(|| self.base.model.clone());
        Spec { instructions, model, ..self.base.clone() }
    }
}

/// The one name in a reply, if there is exactly one.
fn named<'a>(reply: &str, members: &'a [Member]) -> Option<&'a str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let words: Vec<&str> = reply.split(|c| !word(c)).filter(|part| !part.is_empty()).collect();
    let names = members.iter().map(|member| member.name.as_str()).chain([END]);
    let mut found = names.filter(|name| words.iter().any(|word| word.eq_ignore_ascii_case(name)));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn nth(members: &[Member], place: usize) -> Next {
    let member = place.checked_rem(members.len()).and_then(|place| members.get(place));
    member.map_or(Next::End, |member| Next::Member(member.name.clone()))
}

/// A number that follows from the seed and the turn, and looks like chance (SplitMix64).
fn mixed(seed: u64, turn: u32) -> u64 {
    let step = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(turn) + 1);
    let mut mixed = seed.wrapping_add(step);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Whether a condition holds, `field` being where it stands.
fn holds(field: &str, text: &str, turn: u32, last: &Said, state: &State) -> Result<bool, Stop> {
    let variables = [
        ("message", json!(last)),
        ("variables", Value::Object(state.variables.clone())),
        ("turn", json!(turn + 1)),
    ];
    let truth = Expression::read(text).and_then(|expression| expression.holds(&variables));
    truth.map_err(|why| Stop::failed("team_condition", format!("`{field}`: `{text}`: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Vec<Member> {
        let member = |name: &str| Member {
            name: name.into(),
            description: String::new(),
            instructions: String::new(),
            model: None,
            tools: Vec::new(),
            sets: Vec::new(),
            transfers: None,
        };
        ["writer", "co-writer", "critic"].map(member).into()
    }

    #[test]
    fn a_reply_names_one_member_or_nobody() {
        for (reply, name) in [
            ("writer", Some("writer")),
            ("**Co-Writer**", Some("co-writer")),
            ("The critic speaks next.", Some("critic")),
            ("END", Some("end")),
            ("writer or critic", None),
            ("underwriter", None),
            ("", None),
        ] {
            assert_eq!(named(reply, &members()), name, "{reply}");
        }
    }

    #[test]
    fn chance_comes_to_everybody() {
        let met: std::collections::BTreeSet<u64> =
            (0..100).map(|turn| mixed(7, turn) % 5).collect();
        assert_eq!(met.len(), 5);
        assert_eq!(nth(&members(), 3), Next::Member("writer".into()));
    }
}
