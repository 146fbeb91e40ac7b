//! `tenure inbox …`: what runs ask people, and the answers.

mod list;
mod resolve;
mod show;

use std::process::ExitCode;

use tenure_core::Timestamp;
use tenure_sdk::v1;

pub(crate) use list::open_of_run;
pub(crate) use show::answers;

use crate::cli::{Filter, Inbox};
use crate::problem::Problem;
use crate::session::{Session, answer, page_size};
use crate::ui::{text, time};
use resolve::Draft;

pub(crate) async fn inbox(session: &Session, command: Inbox) -> Result<ExitCode, Problem> {
    match command {
        Inbox::List(command) => list::list(session, command).await?,
        Inbox::Show { interrupt } => show::show(session, &get(session, interrupt).await?)?,
        Inbox::Approve { which, edit, by } => {
            let draft = Draft::approve(edit.as_deref(), by)?;
            return resolve::resolve(session, which, draft).await;
        }
        Inbox::Reject { which, reason, actor } => {
            return resolve::resolve(session, which, Draft::reject(reason, actor)).await;
        }
        Inbox::Answer { which, value, by } => {
            return resolve::resolve(session, which, Draft::respond(&value, by)?).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One interrupt.
async fn get(session: &Session, interrupt: String) -> Result<v1::Interrupt, Problem> {
    let request = v1::GetInterruptRequest { tenant: session.tenant(), interrupt };
    Ok(answer!(session.client.inbox().get_interrupt(request))?)
}

/// Interrupts that fit, at most `limit`; the token says whether there are more.
async fn find(
    session: &Session,
    filter: &Filter,
    all: bool,
    limit: usize,
) -> Result<v1::ListInterruptsResponse, Problem> {
    let mut found = v1::ListInterruptsResponse::default();
    while found.interrupts.len() < limit {
        let request = v1::ListInterruptsRequest {
            tenant: session.tenant(),
            all,
            agent: filter.agent.as_ref().map(ToString::to_string).unwrap_or_default(),
            run: filter.run.clone().unwrap_or_default(),
            assignee: filter.assignee.clone().unwrap_or_default(),
            min_age: filter.older_than.map(time::wire),
            page_size: page_size(limit - found.interrupts.len()),
            page_token: std::mem::take(&mut found.next_page_token),
        };
        let page = answer!(session.client.inbox().list_interrupts(request))?;
        found.interrupts.extend(page.interrupts);
        found.next_page_token = page.next_page_token;
        if found.next_page_token.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// What is asked, in one line.
pub(crate) fn title(interrupt: &v1::Interrupt) -> String {
    let title = interrupt.question.as_ref().map_or("", |question| &*question.title);
    text::line(if title.is_empty() { &interrupt.key } else { title }).into_owned()
}

/// What became of an interrupt, in a few words.
fn state(interrupt: &v1::Interrupt, now: Timestamp) -> String {
    match interrupt.state() {
        v1::InterruptState::Open => match &interrupt.due_at {
            Some(due_at) => format!("open, due {}", time::when(time::moment(Some(due_at)), now)),
            None => "open".into(),
        },
        v1::InterruptState::Answered => answered(&interrupt.answer.clone().unwrap_or_default()),
        v1::InterruptState::TimedOut => "timed out".into(),
        v1::InterruptState::Closed => "closed, as its run has ended".into(),
        v1::InterruptState::Unspecified => "unknown".into(),
    }
}

/// `approved by ann`.
fn answered(answer: &v1::Answer) -> String {
    let what = past(answer.decision());
    match &*answer.actor {
        "" => what.into(),
        actor => format!("{what} by {}", text::line(actor)),
    }
}

/// What has been done by a decision.
fn past(decision: v1::Decision) -> &'static str {
    match decision {
        v1::Decision::Approve => "approved",
        v1::Decision::Edit => "approved with changes",
        v1::Decision::Reject => "rejected",
        v1::Decision::Respond => "answered",
        v1::Decision::Unspecified => "decided",
    }
}

/// The word for a decision.
fn word(decision: v1::Decision) -> &'static str {
    match decision {
        v1::Decision::Approve => "approve",
        v1::Decision::Edit => "edit",
        v1::Decision::Reject => "reject",
        v1::Decision::Respond => "respond",
        v1::Decision::Unspecified => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_state_says_what_became_of_it() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let due_at = pbjson_types::Timestamp { seconds: 1_700_000_000 + 90, nanos: 0 };
        let mut asked = v1::Interrupt { due_at: Some(due_at), ..v1::Interrupt::default() };
        asked.set_state(v1::InterruptState::Open);
        assert_eq!(state(&asked, now), "open, due in 1 min 30 s");
        assert_eq!(state(&asked, now + Duration::from_secs(100)), "open, due 10 s ago");
        let mut answer = v1::Answer { actor: "ann".into(), ..v1::Answer::default() };
        answer.set_decision(v1::Decision::Edit);
        asked.answer = Some(answer);
        asked.set_state(v1::InterruptState::Answered);
        assert_eq!(state(&asked, now), "approved with changes by ann");
    }

    #[test]
    fn a_question_without_a_title_has_its_key() {
        let question = v1::Question { title: "Pay\u{7}?".into(), ..v1::Question::default() };
        let mut asked = v1::Interrupt { key: "approve#1".into(), ..v1::Interrupt::default() };
        assert_eq!(title(&asked), "approve#1");
        asked.question = Some(question);
        assert_eq!(title(&asked), r"Pay\u{7}?");
    }
}
