//! `tenure runs …`.

use std::time::Duration;

use tenure_core::{Name, StateName, Timestamp};
use tenure_sdk::v1;

use crate::cli::Runs;
use crate::input;
use crate::problem::Problem;
use crate::session::{self, Session, answer};
use crate::timeline;
use crate::ui::paint::Paint;
use crate::ui::table::Table;
use crate::ui::{text, time};

pub(crate) async fn runs(session: &Session, command: Runs) -> Result<(), Problem> {
    match command {
        Runs::List { agent, states, limit } => list(session, agent, &states, limit).await,
        Runs::Get { run } => show(session, &session.run(&run).await?),
        Runs::Cancel { run, reason } => cancel(session, run, reason).await,
        Runs::Retry { run } => retry(session, run).await,
        Runs::Signal { run, name, payload } => signal(session, run, name, payload).await,
    }
}

async fn list(
    session: &Session,
    agent: Option<Name>,
    states: &[StateName],
    limit: usize,
) -> Result<(), Problem> {
    let mut all = v1::ListRunsResponse::default();
    while all.runs.len() < limit {
        let request = v1::ListRunsRequest {
            tenant: session.tenant(),
            agent: agent.as_ref().map(ToString::to_string).unwrap_or_default(),
            states: states.iter().copied().map(session::wire_state).collect(),
            page_size: session::page_size(limit - all.runs.len()),
            page_token: std::mem::take(&mut all.next_page_token),
        };
        let page = answer!(session.client.runs().list_runs(request))?;
        all.runs.extend(page.runs);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    session.ui.show(&all, table(&all.runs))
}

fn table(runs: &[v1::Run]) -> Table {
    let now = time::now();
    let headings = ["RUN", "AGENT", "STATE", "STEPS", "TOKENS", "CREATED", "TOOK"];
    let empty = "no runs; start one with 'tenure run AGENT'";
    let mut table = Table::new(headings, empty).whole(&[2, 3, 4, 5, 6]).optional(&[4, 3, 6, 5]);
    for run in runs {
        let usage = timeline::usage(&run.usage.clone().unwrap_or_default());
        table.row([
            run.id.clone(),
            format!("{}@{}", run.agent, run.version),
            state(run),
            text::thousands(run.entries),
            text::thousands(usage.input_tokens + usage.output_tokens),
            time::ago(time::moment(run.created_at.as_ref()), now),
            took(run).unwrap_or_default(),
        ]);
    }
    table
}

/// The state in a word, or two where the word alone would mislead.
pub(crate) fn state(run: &v1::Run) -> String {
    let word = session::state(run).map_or("unknown", StateName::as_str);
    match session::state(run) {
        Some(StateName::Waiting) if run.failure.is_some() => "waiting (blocked)".into(),
        Some(StateName::Waiting) if run.wakes_at.is_some() => "waiting (asleep)".into(),
        Some(StateName::Running) if run.cancel_requested => "running (cancelling)".into(),
        _ => word.into(),
    }
}

fn took(run: &v1::Run) -> Option<String> {
    let ended = time::moment(Some(run.ended_at.as_ref()?));
    Some(time::took(ended.since(time::moment(run.created_at.as_ref()))))
}

/// One run with everything that is known about it.
pub(crate) fn show(session: &Session, run: &v1::Run) -> Result<(), Problem> {
    if session.ui.is_json() {
        return session.ui.object(run);
    }
    session.ui.line(properties(run).render(session.ui.paint()))?;
    for (title, payload) in [("input", &run.input), ("output", &run.output)] {
        if let Some(payload) = payload.as_ref().filter(|payload| !payload.data.is_empty()) {
            let title = session.ui.paint().bold(title);
            session.ui.line(format!("\n{title}\n{}", text::payload(payload).trim_end()))?;
        }
    }
    Ok(())
}

fn properties(run: &v1::Run) -> Table {
    let now = time::now();
    let ago = |at| time::ago(time::moment(at), now);
    let mut table = Table::properties();
    table.property("run", &run.id);
    table.property("agent", format!("{} version {}", run.agent, run.version));
    table.property("state", state(run));
    table.property("why", run.failure.as_ref().map(timeline::failure).unwrap_or_default());
    table.property("cancelled", &run.cancel_reason);
    table.property("wakes", run.wakes_at.as_ref().map(|at| wakes(at, now)).unwrap_or_default());
    table.property("created", ago(run.created_at.as_ref()));
    table.property("took", took(run).unwrap_or_default());
    table.property("pool", &run.pool);
    table.property("worker", &run.worker);
    table.property("steps", text::thousands(run.entries));
    table.property("leases", text::thousands(run.attempts.into()));
    let usage = timeline::usage(&run.usage.clone().unwrap_or_default());
    table.property("usage", timeline::tokens(&usage).unwrap_or_default());
    table.property("labels", labels(run));
    table
}

/// When a run goes on by itself; nothing once that is due, for then it only waits for a worker.
fn wakes(at: &pbjson_types::Timestamp, now: Timestamp) -> String {
    match time::moment(Some(at)).since(now) {
        Duration::ZERO => String::new(),
        left => format!("in {}", time::took(left)),
    }
}

fn labels(run: &v1::Run) -> String {
    let labels = run.labels.iter().map(|(key, value)| format!("{key}={value}"));
    labels.collect::<Vec<_>>().join("\n")
}

async fn retry(session: &Session, run: String) -> Result<(), Problem> {
    let request = v1::RetryRunRequest { tenant: session.tenant(), run };
    let run = answer!(session.client.runs().retry_run(request))?;
    let id = session.ui.paint().bold(text::line(&run.id));
    session.ui.tell(&run, format!("{id} is {}", state(&run)))
}

async fn cancel(session: &Session, run: String, reason: String) -> Result<(), Problem> {
    let request = v1::CancelRunRequest { tenant: session.tenant(), run, reason };
    let run = answer!(session.client.runs().cancel_run(request))?;
    session.ui.tell(&run, cancelled(&run, session.ui.paint()))
}

fn cancelled(run: &v1::Run, paint: Paint) -> String {
    let id = paint.bold(text::line(&run.id));
    match session::state(run) {
        Some(StateName::Cancelled) => format!("{id} is cancelled"),
        Some(state) if state.is_terminal() => format!("{id} had already {state}"),
        _ => format!("{id} was asked to end; its worker has 30 s to clean up"),
    }
}

async fn signal(
    session: &Session,
    run: String,
    name: Name,
    payload: Option<String>,
) -> Result<(), Problem> {
    let payload = payload.map(|text| input::payload(&text, input::Format::Guess)).transpose()?;
    let request = v1::SignalRunRequest {
        tenant: session.tenant(),
        run,
        name: name.to_string(),
        payload,
        request_id: String::new(),
    };
    let response = answer!(session.client.runs().signal_run(request))?;
    session.ui.tell(&response, format!("signal {name} delivered"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(state: v1::RunState) -> v1::Run {
        v1::Run { id: "run_1".into(), state: state.into(), ..v1::Run::default() }
    }

    #[test]
    fn a_state_says_what_is_behind_it() {
        let blocked =
            v1::Run { failure: Some(v1::Failure::default()), ..run(v1::RunState::Waiting) };
        assert_eq!(state(&blocked), "waiting (blocked)");
        let leaving = v1::Run { cancel_requested: true, ..run(v1::RunState::Running) };
        assert_eq!(state(&leaving), "running (cancelling)");
        assert_eq!(state(&run(v1::RunState::Unspecified)), "unknown");
    }

    #[test]
    fn what_a_cancel_did_depends_on_the_run() {
        let said = |state| cancelled(&run(state), Paint::plain());
        assert_eq!(said(v1::RunState::Cancelled), "run_1 is cancelled");
        assert_eq!(said(v1::RunState::Failed), "run_1 had already failed");
        assert!(said(v1::RunState::Running).contains("was asked to end"));
    }

    #[test]
    fn a_run_is_shown_without_what_it_does_not_have() {
        let mut shown = run(v1::RunState::Succeeded);
        shown.labels.insert("b".into(), "2".into());
        shown.labels.insert("a".into(), "1".into());
        let text = properties(&shown).render(Paint::plain());
        assert!(text.contains("a=1\n"), "{text}");
        assert!(!text.contains("worker"), "{text}");
    }
}
