//! `tenure run`: start a run and, if asked to, see it through.

use std::process::ExitCode;

use tenure_core::StateName;
use tenure_sdk::v1;
use tenure_sdk::v1::watch_run_response::Event;

use crate::cli::Run;
use crate::commands::journal::Follower;
use crate::commands::runs;
use crate::input::{self, Format};
use crate::problem::Problem;
use crate::session::{self, Session, answer};
use crate::timeline;
use crate::ui::progress::Progress;
use crate::ui::{note, text, time};
use crate::watch::watch;

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
    let format = if command.json { Format::Json } else { Format::Text };
    let input = command.input.as_ref().map(|text| input::payload(text, format)).transpose()?;
    Ok(v1::CreateRunRequest {
        tenant: session.tenant(),
        agent: command.agent.agent.to_string(),
        version: command.agent.version.clone(),
        input,
        labels: command.labels.iter().cloned().collect(),
        idempotency_key: command.idempotency_key.clone().unwrap_or_default(),
        start_after: command.start_after.map(time::wire),
        ..v1::CreateRunRequest::default()
    })
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
    note(format!("hint: follow it with 'tenure journal {} --follow'", text::line(&run.id)));
    Ok(())
}

async fn follow(session: &Session, run: v1::Run) -> Result<ExitCode, Problem> {
    if !session.ui.is_json() {
        session.ui.line(text::line(&run.id))?;
    }
    let mut follower = Follower::new(session.ui);
    let mut state = None;
    let ended = watch(&session.client, &run.id, |event| {
        if let Event::Run(run) = &event {
            // Once per change: the run is sent again with each of its entries.
            if !session.ui.is_json() && state.replace(run.state) != Some(run.state) {
                stopped(run);
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

/// Says what a run waits for, since it may wait for whoever reads this.
fn stopped(run: &v1::Run) {
    match (session::state(run), &run.failure) {
        (Some(StateName::Waiting), Some(failure)) => {
            note(format!("the run is blocked: {}", timeline::failure(failure)));
            note(format!("hint: end it with 'tenure runs cancel {}'", text::line(&run.id)));
        }
        (Some(StateName::Waiting), None) => {
            let id = text::line(&run.id);
            note(format!("the run waits for a signal: 'tenure runs signal {id} NAME'"));
        }
        _ => {}
    }
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
