//! `tenure run`: start a run and, if asked to, see it through.

use std::process::ExitCode;
use std::time::Duration;

use tenure_core::StateName;
use tenure_sdk::v1;
use tenure_sdk::v1::watch_run_response::Event;

use crate::cli::{Run, Terms, TurnPolicy};
use crate::commands::journal::Follower;
use crate::commands::runs;
use crate::input;
use crate::problem::Problem;
use crate::session::{self, Session, answer};
use crate::timeline;
use crate::ui::progress::Progress;
use crate::ui::{note, text, time};
use crate::watch::watch;

/// The pause before a run is tried again, unless another one is asked for.
const BACKOFF: Duration = Duration::from_secs(1);

pub(crate) async fn run(session: &Session, command: Run) -> Result<ExitCode, Problem> {
    let run = create(session, request(session, &command)?).await?;
    if command.follow {
        return follow(session, run).await;
    }
    if command.wait {
        return wait(session, run).await;
    }
    if session.ui.is_json() {
        session.ui.object(&run)?;
    } else {
        announce(session, &run)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn request(session: &Session, command: &Run) -> Result<v1::CreateRunRequest, Problem> {
    let terms = &command.terms;
    Ok(v1::CreateRunRequest {
        tenant: session.tenant(),
        agent: command.agent.agent.to_string(),
        version: command.agent.version.clone(),
        input: input::given(&command.input)?,
        labels: command.labels.iter().cloned().collect(),
        idempotency_key: command.idempotency_key.clone().unwrap_or_default(),
        start_after: command.start_after.map(time::wire),
        priority: terms.priority,
        timeout: terms.timeout.map(time::wire),
        retry: terms.retries.map(|limit| retry(limit, terms)),
        concurrency: terms.concurrency_key.clone().map(|key| concurrency(key, terms)),
        budget: budget(terms),
        ..v1::CreateRunRequest::default()
    })
}

fn retry(limit: u32, terms: &Terms) -> v1::RetryPolicy {
    v1::RetryPolicy {
        limit,
        backoff: Some(time::wire(terms.backoff.unwrap_or(BACKOFF))),
        max_backoff: terms.max_backoff.map(time::wire),
    }
}

/// Nothing if it bounds nothing.
fn budget(terms: &Terms) -> Option<v1::Budget> {
    let budget = v1::Budget {
        cost_micros: terms.budget_cost,
        tokens: terms.budget_tokens,
        tool_calls: terms.budget_tool_calls,
    };
    (budget != v1::Budget::default()).then_some(budget)
}

fn concurrency(key: String, terms: &Terms) -> v1::Concurrency {
    let policy = match terms.concurrency_policy {
        TurnPolicy::Queue => v1::ConcurrencyPolicy::Queue,
        TurnPolicy::Reject => v1::ConcurrencyPolicy::Reject,
        TurnPolicy::Replace => v1::ConcurrencyPolicy::Replace,
    };
    v1::Concurrency { key, policy: policy.into() }
}

/// Creates a run.
pub(crate) async fn create(
    session: &Session,
    request: v1::CreateRunRequest,
) -> Result<v1::Run, Problem> {
    Ok(answer!(session.client.runs().create_run(request))?)
}

/// The id alone on standard output, so that `$(tenure run …)` is the id.
fn announce(session: &Session, run: &v1::Run) -> Result<(), Problem> {
    session.ui.line(text::line(&run.id))?;
    let agent = text::line(&run.agent);
    note(format!("{agent} version {} is {}", run.version, runs::state(run)));
    let follow = session.command(&format!("journal {} --follow", text::quoted(&run.id)));
    note(format!("hint: follow it with '{follow}'"));
    Ok(())
}

async fn follow(session: &Session, run: v1::Run) -> Result<ExitCode, Problem> {
    if !session.ui.is_json() {
        session.ui.line(text::line(&run.id))?;
    }
    let mut follower = Follower::new(session.ui, &run)?;
    let mut told = None;
    let ended = watch(&session.client, &run.id, |event| {
        if let Event::Run(run) = &event {
            let stopped = stopped(session, run).filter(|_| !session.ui.is_json());
            // Once per change: the run is sent again with each of its entries.
            if stopped != told {
                stopped.iter().for_each(note);
                told = stopped;
            }
        }
        follower.take(event)
    });
    let ended = ended.await?;
    follower.finish()?;
    if !session.ui.is_json() {
        result(session, &ended)?;
    }
    Ok(status(&ended))
}

async fn wait(session: &Session, run: v1::Run) -> Result<ExitCode, Problem> {
    let mut progress = Progress::new(!session.ui.is_json());
    progress.set(&format!("{}: {}", run.id, runs::state(&run)), "");
    let mut entries = run.entries;
    let mut last = run.clone();
    let ended = watch(&session.client, &run.id, |event| {
        match event {
            Event::Run(run) => last = run,
            Event::Entry(entry) => entries = entry.seq,
            Event::Published(_) | Event::Missed(_) => {}
        }
        let steps = text::count(entries, "step", "steps");
        let state = format!("{}: {}", last.id, runs::state(&last));
        progress.set(&state, &format!(", {steps} recorded"));
        Ok(())
    });
    let ended = ended.await?;
    drop(progress);
    if session.ui.is_json() {
        session.ui.object(&ended)?;
    } else {
        result(session, &ended)?;
    }
    Ok(status(&ended))
}

/// What a run waits for and what ends that, since it may wait for whoever reads this.
fn stopped(session: &Session, run: &v1::Run) -> Option<String> {
    if session::state(run) != Some(StateName::Waiting) {
        return None;
    }
    let id = text::quoted(&run.id);
    let failure = run.failure.as_ref().map(timeline::failure).unwrap_or_default();
    let signal = run.waits_on.iter().find_map(|key| runs::waits_for(key, "signal:"));
    let (what, words) = match run.wait_reason() {
        v1::WaitReason::Blocked => (format!("is blocked: {failure}"), format!("runs why {id}")),
        v1::WaitReason::Paused => ("is paused".into(), format!("runs resume {id}")),
        v1::WaitReason::Turn => ("waits for its turn".into(), format!("runs why {id}")),
        _ if run.open_interrupts > 0 => {
            ("waits for an answer".into(), format!("inbox list --run {id}"))
        }
        _ => match signal {
            Some(name) => (
                format!("waits for the signal {}", text::line(name)),
                format!("runs signal {id} {}", text::quoted(name)),
            ),
            None => (runs::state(run).replace("waiting", "waits"), format!("runs why {id}")),
        },
    };
    Some(format!("the run {what}\nhint: '{}'", session.command(&words)))
}

/// What came of it: the output on standard output, anything else beside it.
fn result(session: &Session, run: &v1::Run) -> Result<(), Problem> {
    match (&run.output, &run.failure) {
        (Some(output), _) if !output.data.is_empty() => {
            session.ui.line(text::payload(output).trim_end())?;
        }
        (_, Some(failure)) => note(format!("the run failed: {}", timeline::failure(failure))),
        (_, None) => note(format!("the run has {}", past(run))),
    }
    Ok(())
}

fn past(run: &v1::Run) -> String {
    match session::state(run) {
        Some(StateName::Cancelled) => "been cancelled".into(),
        _ => runs::state(run),
    }
}

fn status(run: &v1::Run) -> ExitCode {
    match session::state(run) {
        Some(StateName::Succeeded) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Global, Output};
    use crate::ui::Ui;

    fn session() -> Session {
        let (url, tenant) = (cli::URL.to_owned(), cli::TENANT.parse().unwrap());
        let global = Global { url, tenant, output: Output::Text };
        Session::open(&global, Ui::new(global.output)).unwrap()
    }

    #[tokio::test]
    async fn a_run_that_stops_says_what_makes_it_go_on() {
        let mut run = v1::Run { id: "run_1".into(), ..v1::Run::default() };
        assert_eq!(stopped(&session(), &run), None);
        run.set_state(v1::RunState::Waiting);
        run.set_wait_reason(v1::WaitReason::Inbox);
        run.waits_on = vec!["signal:go#1".into()];
        insta::assert_snapshot!(stopped(&session(), &run).unwrap(), @r"
        the run waits for the signal go
        hint: 'tenure runs signal run_1 go'
        ");
        run.open_interrupts = 1;
        insta::assert_snapshot!(stopped(&session(), &run).unwrap(), @r"
        the run waits for an answer
        hint: 'tenure inbox list --run run_1'
        ");
        run.set_wait_reason(v1::WaitReason::Turn);
        insta::assert_snapshot!(stopped(&session(), &run).unwrap(), @r"
        the run waits for its turn
        hint: 'tenure runs why run_1'
        ");
    }
}
