//! Which parked runs a version would block: a deploy, tried before it is done.

use std::cell::{Cell, RefCell};
use std::process::ExitCode;

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use tenure_core::{Name, StateName};
use tenure_sdk::v1;

use crate::commands::runs::check::{Verdict, check};
use crate::commands::runs::{find, object, state};
use crate::problem::Problem;
use crate::session::{Session, wire_state};
use crate::ui::progress::Progress;
use crate::ui::table::Table;
use crate::ui::{note, text};

/// Checks under way at a time: enough to keep a few workers busy, few enough to leave them room.
const AT_ONCE: usize = 8;

/// One parked run and what its check said.
#[derive(Debug)]
struct Checked {
    run: v1::Run,
    verdict: Verdict,
}

pub(super) async fn check_parked(
    session: &Session,
    agent: &Name,
    version: &Name,
    limit: usize,
) -> Result<ExitCode, Problem> {
    let parked = parked(session, agent, limit).await?;
    let checked = check_all(session, &parked.runs, version.as_str()).await?;
    let all_agree = checked.iter().all(|one| one.verdict.agrees());
    if session.ui.is_json() {
        let runs: Vec<_> = checked.iter().map(|one| object(&one.run.id, &one.verdict)).collect();
        session
            .ui
            .object(&json!({"agent": agent.as_str(), "version": version.as_str(), "runs": runs}))?;
    } else {
        if !all_agree {
            session.ui.line(format!("{}\n", table(&checked).render(session.ui.paint())))?;
        }
        session.ui.line(summary(&checked, agent, version))?;
        if !parked.next_page_token.is_empty() {
            note(format!("there are more than {limit}; check them with --limit"));
        }
    }
    Ok(if all_agree { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn parked(
    session: &Session,
    agent: &Name,
    limit: usize,
) -> Result<v1::ListRunsResponse, Problem> {
    let request = v1::ListRunsRequest {
        tenant: session.tenant(),
        agent: agent.to_string(),
        states: vec![wire_state(StateName::Waiting)],
        ..v1::ListRunsRequest::default()
    };
    find(session, request, limit).await
}

/// Checks all runs, some of them at a time; the order stays.
async fn check_all(
    session: &Session,
    runs: &[v1::Run],
    version: &str,
) -> Result<Vec<Checked>, Problem> {
    let progress = RefCell::new(Progress::new(!session.ui.is_json()));
    let done = Cell::new(0);
    let checking = format!("checking {}", text::count(runs.len() as u64, "run", "runs"));
    let say = |why: &str| {
        let state = format!("{checking}{why}");
        progress.borrow_mut().set(&state, &format!(", {} done", done.get()));
    };
    let one = async |run: &v1::Run| {
        let waiting = |why: &str| say(&format!("; one waits: {why}"));
        let verdict = check(session, &run.id, version, waiting).await?;
        done.set(done.get() + 1);
        say("");
        Ok(Checked { run: run.clone(), verdict })
    };
    futures::stream::iter(runs).map(one).buffered(AT_ONCE).try_collect().await
}

fn table(checked: &[Checked]) -> Table {
    let mut table = Table::new(["RUN", "VERSION", "STATE", "REASON"], "").optional(&[2, 1]);
    for one in checked.iter().filter(|one| !one.verdict.agrees()) {
        let version = one.run.version.to_string();
        table.row([one.run.id.clone(), version, state(&one.run), one.verdict.sentence()]);
    }
    table
}

/// `57 parked runs of digest, replayed on version 4: 55 agree, 2 would block`.
fn summary(checked: &[Checked], agent: &Name, version: &Name) -> String {
    let count =
        |which: fn(&Verdict) -> bool| checked.iter().filter(|one| which(&one.verdict)).count();
    let agree = count(Verdict::agrees);
    let parts = [
        (agree, if agree == 1 { "agrees" } else { "agree" }),
        (count(|verdict| matches!(verdict, Verdict::Disagrees(_))), "would block"),
        (count(|verdict| matches!(verdict, Verdict::Unknown(_))), "could not be checked"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> = parts.map(|(count, word)| format!("{count} {word}")).collect();
    let runs = text::count(checked.len() as u64, "parked run", "parked runs");
    match &*parts {
        [] => format!("no run of {agent} is parked"),
        parts => format!("{runs} of {agent}, replayed on version {version}: {}", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(verdict: Verdict) -> Checked {
        Checked { run: v1::Run::default(), verdict }
    }

    #[test]
    fn a_summary_counts_what_would_block() {
        let name = |name: &str| name.parse::<Name>().unwrap();
        let (agent, version) = (name("digest"), name("4"));
        assert_eq!(summary(&[], &agent, &version), "no run of digest is parked");
        let all = [
            checked(Verdict::Agrees { entries: 1, next: vec![] }),
            checked(Verdict::Disagrees(v1::Failure::default())),
            checked(Verdict::Unknown(String::new())),
        ];
        insta::assert_snapshot!(
            summary(&all, &agent, &version),
            @"3 parked runs of digest, replayed on version 4: 1 agrees, 1 would block, 1 could not be checked"
        );
    }
}
