use tenure_sdk::v1;

use super::{find, state, title};
use crate::cli::{Filter, ListInbox};
use crate::problem::Problem;
use crate::session::Session;
use crate::ui::table::Table;
use crate::ui::{note, time};

pub(super) async fn list(session: &Session, command: ListInbox) -> Result<(), Problem> {
    let found = find(session, &command.filter, command.all, command.limit).await?;
    session.ui.show(&found, table(&found.interrupts))?;
    if !session.ui.is_json() && !found.next_page_token.is_empty() {
        note(format!("there are more than {}; see them with --limit", command.limit));
    }
    Ok(())
}

/// What a run is asking, at most `limit`, and whether there is more.
pub(crate) async fn open_of_run(
    session: &Session,
    run: &str,
    limit: usize,
) -> Result<(Vec<v1::Interrupt>, bool), Problem> {
    let filter = Filter { run: Some(run.to_owned()), ..Filter::default() };
    let found = find(session, &filter, false, limit).await?;
    Ok((found.interrupts, !found.next_page_token.is_empty()))
}

fn table(interrupts: &[v1::Interrupt]) -> Table {
    let now = time::now();
    let headings = ["INTERRUPT", "AGENT", "QUESTION", "FOR", "OPENED", "STATE"];
    let empty = "nothing is asked";
    let mut table = Table::new(headings, empty).whole(&[4]).optional(&[3, 1, 4]);
    for interrupt in interrupts {
        let question = interrupt.question.as_ref();
        table.row([
            interrupt.id.clone(),
            interrupt.agent.clone(),
            title(interrupt),
            question.map(|question| question.assignee.clone()).unwrap_or_default(),
            time::ago(time::moment(interrupt.opened_at.as_ref()), now),
            state(interrupt, now),
        ]);
    }
    table
}
