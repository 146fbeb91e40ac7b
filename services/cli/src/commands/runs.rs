//! `tenure runs …`.

pub(crate) mod check;
mod diff;
mod fork;
mod replay;
mod show;
mod steer;
mod why;

use std::process::ExitCode;

use tenure_core::{Name, StateName};
use tenure_sdk::v1;

pub(crate) use replay::object;

use crate::cli::{ListRuns, Runs};
use crate::input;
use crate::problem::Problem;
use crate::session::{self, Session, answer};
use crate::timeline;
use crate::ui::table::Table;
use crate::ui::{text, time};

pub(crate) async fn runs(session: &Session, command: Runs) -> Result<ExitCode, Problem> {
    match command {
        Runs::List(command) => list(session, command).await?,
        Runs::Get { run } => show::show(session, &session.run(&run).await?).await?,
        Runs::Why { run } => why::why(session, run).await?,
        Runs::Pause(steer) => steer::pause(session, steer).await?,
        Runs::Resume(steer) => steer::resume(session, steer).await?,
        Runs::Retry(steer) => steer::retry(session, steer).await?,
        Runs::Cancel(steer) => steer::cancel(session, steer).await?,
        Runs::Patch(patch) => steer::patch(session, patch).await?,
        Runs::Prioritize { run, priority, by } => {
            steer::prioritize(session, run, priority, by).await?;
        }
        Runs::Requeue { run } => fork::requeue(session, run).await?,
        Runs::Fork(command) => fork::fork(session, command).await?,
        Runs::Replay { run, version } => return replay::replay(session, &run, version).await,
        Runs::Diff { a, b } => return diff::diff(session, &a, &b).await,
        Runs::Signal { run, name, payload } => signal(session, run, name, payload).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(session: &Session, command: ListRuns) -> Result<(), Problem> {
    let request = v1::ListRunsRequest {
        tenant: session.tenant(),
        agent: command.agent.as_ref().map(ToString::to_string).unwrap_or_default(),
        states: command.states.iter().copied().map(session::wire_state).collect(),
        failure_code: command.failure.unwrap_or_default(),
        parent: command.parent.unwrap_or_default(),
        concurrency_key: command.concurrency_key.unwrap_or_default(),
        ..v1::ListRunsRequest::default()
    };
    let all = find(session, request, command.limit).await?;
    session.ui.show(&all, table(&all.runs))
}

/// Runs that fit, at most `limit`; the token says whether there are more.
pub(crate) async fn find(
    session: &Session,
    request: v1::ListRunsRequest,
    limit: usize,
) -> Result<v1::ListRunsResponse, Problem> {
    let mut all = v1::ListRunsResponse::default();
    while all.runs.len() < limit {
        let request = v1::ListRunsRequest {
            page_size: session::page_size(limit - all.runs.len()),
            page_token: std::mem::take(&mut all.next_page_token),
            ..request.clone()
        };
        let page = answer!(session.client.runs().list_runs(request))?;
        all.runs.extend(page.runs);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    Ok(all)
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
            show::took(run).unwrap_or_default(),
        ]);
    }
    table
}

/// The state in a word, or some more where the word alone would mislead.
pub(crate) fn state(run: &v1::Run) -> String {
    let word = session::state(run).map_or("unknown", StateName::as_str);
    let more = match session::state(run) {
        Some(StateName::Waiting) => waiting(run),
        Some(StateName::Running) if run.cancel_requested => "cancelling",
        Some(StateName::Running) if run.pause_requested => "pausing",
        _ => "",
    };
    match more {
        "" => word.into(),
        more => format!("{word} ({more})"),
    }
}

fn waiting(run: &v1::Run) -> &'static str {
    match run.wait_reason() {
        v1::WaitReason::Blocked => "blocked",
        v1::WaitReason::Paused => "paused",
        v1::WaitReason::Turn => "for its turn",
        v1::WaitReason::Inbox | v1::WaitReason::Unspecified => {
            let child = run.waits_on.iter().any(|key| waits_for(key, "child:").is_some());
            match (run.open_interrupts, &run.wakes_at) {
                (1.., _) => "for an answer",
                (0, _) if child => "for a run",
                (0, Some(_)) => "asleep",
                (0, None) => "",
            }
        }
    }
}

/// What a wait with this key is for, if it is for something of this kind: `approved` for
/// `turn/1/signal:approved#2` and `signal:`.
pub(crate) fn waits_for<'a>(key: &'a str, kind: &str) -> Option<&'a str> {
    let segment = key.rsplit('/').next()?;
    segment.split('#').next()?.strip_prefix(kind)
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
        let leaving = v1::Run { cancel_requested: true, ..run(v1::RunState::Running) };
        assert_eq!(state(&leaving), "running (cancelling)");
        let resting = v1::Run { pause_requested: true, ..run(v1::RunState::Running) };
        assert_eq!(state(&resting), "running (pausing)");
        assert_eq!(state(&run(v1::RunState::Unspecified)), "unknown");
    }

    #[test]
    fn a_waiting_run_says_for_what() {
        let waiting = |reason| {
            let mut run = run(v1::RunState::Waiting);
            run.set_wait_reason(reason);
            run
        };
        let parked = waiting(v1::WaitReason::Inbox);
        assert_eq!(state(&parked), "waiting");
        assert_eq!(state(&waiting(v1::WaitReason::Blocked)), "waiting (blocked)");
        assert_eq!(state(&waiting(v1::WaitReason::Paused)), "waiting (paused)");
        assert_eq!(state(&waiting(v1::WaitReason::Turn)), "waiting (for its turn)");
        let asks = v1::Run { open_interrupts: 1, ..parked.clone() };
        assert_eq!(state(&asks), "waiting (for an answer)");
        let calls = v1::Run { waits_on: vec!["a/child:b#1".into()], ..parked.clone() };
        assert_eq!(state(&calls), "waiting (for a run)");
        let asleep = v1::Run { wakes_at: Some(pbjson_types::Timestamp::default()), ..parked };
        assert_eq!(state(&asleep), "waiting (asleep)");
    }

    #[test]
    fn a_key_says_what_is_waited_for() {
        assert_eq!(waits_for("turn/1/signal:ok#2", "signal:"), Some("ok"));
        assert_eq!(waits_for("signal:ok/step", "signal:"), None);
    }
}
