//! Answering interrupts, one or many.

mod draft;

use std::process::ExitCode;

use tenure_core::limits;
use tenure_sdk::v1;
use tenure_sdk::v1::resolved::Result as Resolution;

pub(super) use draft::Draft;

use super::{find, get, past, title};
use crate::cli::{Filter, Which};
use crate::problem::Problem;
use crate::session::{Session, answer};
use crate::ui::confirm::confirm;
use crate::ui::{note, text};

/// An interrupt and what is answered.
#[derive(Clone, Debug)]
struct Answered {
    interrupt: String,
    answer: v1::Answer,
}

/// Answers each of the interrupts that are meant. The exit status says whether all were taken.
pub(super) async fn resolve(
    session: &Session,
    which: Which,
    draft: Draft,
) -> Result<ExitCode, Problem> {
    let answers = if which.all_open {
        all_open(session, &which, &draft).await?
    } else {
        named(session, which, &draft).await?
    };
    if let [one] = &*answers {
        let answered = one_alone(session, one).await?;
        return tell(session, vec![answered]);
    }
    let mut resolved = Vec::new();
    // Only what is answered alike fits one request.
    for alike in answers.chunk_by(|a, b| a.answer == b.answer) {
        for page in alike.chunks(limits::PAGE) {
            resolved.extend(together(session, page).await?);
        }
    }
    tell(session, resolved)
}

/// The answers to interrupts that were named.
async fn named(session: &Session, which: Which, draft: &Draft) -> Result<Vec<Answered>, Problem> {
    if which.filter != Filter::default() {
        return Err(Problem::new("either ids or a filter: they were given both")
            .hint("leave out the ids and add --all-open, or leave out the filter"));
    }
    let mut answers = Vec::new();
    for interrupt in which.ids {
        let mut question = None;
        if draft.needs_schema() {
            question = get(session, interrupt.clone()).await?.question;
        }
        let answer = draft.answer(&question.unwrap_or_default().schema)?;
        answers.push(Answered { interrupt, answer });
    }
    Ok(answers)
}

/// The answers to all that are open and can be answered so, once that is confirmed.
async fn all_open(
    session: &Session,
    which: &Which,
    draft: &Draft,
) -> Result<Vec<Answered>, Problem> {
    let open = find(session, &which.filter, false, usize::MAX).await?.interrupts;
    let count = text::count(open.len() as u64, "open interrupt", "open interrupts");
    let answers = open.into_iter().filter_map(|asked| draft.to(asked));
    let answers: Vec<_> = answers.collect::<Result<_, _>>()?;
    let question = format!("{} of {count} will be {}.", answers.len(), past(draft.decision));
    if answers.is_empty() || which.yes {
        note(&question);
        return Ok(answers);
    }
    confirm(&question).map(|()| answers)
}

/// Answers one. Why it is refused is the command's own error then.
async fn one_alone(session: &Session, one: &Answered) -> Result<v1::Resolved, Problem> {
    let request = v1::ResolveInterruptRequest {
        tenant: session.tenant(),
        interrupt: one.interrupt.clone(),
        answer: Some(one.answer.clone()),
    };
    let answered = answer!(session.client.inbox().resolve_interrupt(request))?;
    let (interrupt, result) = (answered.id.clone(), Some(Resolution::Answered(answered)));
    Ok(v1::Resolved { interrupt, result })
}

/// Answers all of a page alike, which is not empty.
async fn together(session: &Session, page: &[Answered]) -> Result<Vec<v1::Resolved>, Problem> {
    let request = v1::ResolveInterruptsRequest {
        tenant: session.tenant(),
        interrupts: page.iter().map(|one| one.interrupt.clone()).collect(),
        answer: page.first().map(|one| one.answer.clone()),
    };
    Ok(answer!(session.client.inbox().resolve_interrupts(request))?.resolved)
}

fn tell(session: &Session, resolved: Vec<v1::Resolved>) -> Result<ExitCode, Problem> {
    let refused = resolved.iter().filter(|one| is_refused(one)).count();
    if session.ui.is_json() {
        session.ui.object(&v1::ResolveInterruptsResponse { resolved })?;
    } else {
        for one in &resolved {
            session.ui.line(line(session, one))?;
        }
        if refused > 0 {
            note(format!("{refused} of {} were refused", resolved.len()));
        }
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_refused(one: &v1::Resolved) -> bool {
    !matches!(one.result, Some(Resolution::Answered(_)))
}

/// `int_… approved: Refund $120 to Ann?`
fn line(session: &Session, one: &v1::Resolved) -> String {
    let (id, paint) = (text::line(&one.interrupt), session.ui.paint());
    match &one.result {
        Some(Resolution::Answered(asked)) => {
            let decision =
                asked.answer.as_ref().map_or(v1::Decision::Unspecified, v1::Answer::decision);
            format!("{id} {}: {}", paint.good(past(decision)), title(asked))
        }
        Some(Resolution::Refused(failure)) => {
            format!("{id} {}: {}", paint.bad("refused"), text::line(&failure.message))
        }
        None => format!("{id} {}", paint.bad("refused")),
    }
}
