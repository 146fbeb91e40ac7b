//! Somebody intervenes in a run.

use tenure_core::StateName;
use tenure_sdk::v1;
use tenure_sdk::v1::patch_run_request::Result as Given;

use super::state;
use crate::cli::{self, By, Patch, Steer};
use crate::input;
use crate::problem::Problem;
use crate::session::{self, Session, answer};
use crate::ui::paint::Paint;
use crate::ui::text;

fn steering(by: By) -> v1::Steering {
    v1::Steering { actor: by.actor.actor, reason: by.reason }
}

pub(super) async fn pause(session: &Session, steer: Steer) -> Result<(), Problem> {
    let (tenant, run, steering) = (session.tenant(), steer.run, steering(steer.by));
    let request = v1::PauseRunRequest { tenant, run, steering: Some(steering) };
    let run = answer!(session.client.runs().pause_run(request))?;
    session.ui.tell(&run, paused(&run, session.ui.paint()))
}

fn paused(run: &v1::Run, paint: Paint) -> String {
    let id = paint.bold(text::line(&run.id));
    match session::state(run) {
        Some(StateName::Running) if run.cancel_requested => {
            format!("{id} was asked to end before, and will not rest")
        }
        Some(StateName::Running) => {
            format!("{id} was asked to rest; it does after its current step")
        }
        _ => format!("{id} is {}", state(run)),
    }
}

pub(super) async fn resume(session: &Session, steer: Steer) -> Result<(), Problem> {
    let (tenant, run, steering) = (session.tenant(), steer.run, steering(steer.by));
    let request = v1::ResumeRunRequest { tenant, run, steering: Some(steering) };
    let run = answer!(session.client.runs().resume_run(request))?;
    told(session, &run)
}

pub(super) async fn retry(session: &Session, steer: Steer) -> Result<(), Problem> {
    let (tenant, run, steering) = (session.tenant(), steer.run, steering(steer.by));
    let request = v1::RetryRunRequest { tenant, run, steering: Some(steering) };
    let run = answer!(session.client.runs().retry_run(request))?;
    told(session, &run)
}

pub(super) async fn cancel(session: &Session, steer: Steer) -> Result<(), Problem> {
    let (tenant, run, steering) = (session.tenant(), steer.run, steering(steer.by));
    let request = v1::CancelRunRequest { tenant, run, steering: Some(steering) };
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

pub(super) async fn patch(session: &Session, patch: Patch) -> Result<(), Problem> {
    let by = By { reason: patch.reason, actor: patch.actor };
    let request = v1::PatchRunRequest {
        tenant: session.tenant(),
        run: patch.run,
        key: patch.key.clone(),
        steering: Some(steering(by)),
        result: Some(given(patch.given)?),
    };
    let run = answer!(session.client.runs().patch_run(request))?;
    let id = session.ui.paint().bold(text::line(&run.id));
    let key = text::line(&patch.key);
    session.ui.tell(&run, format!("{key} of {id} has this result now; the run is {}", state(&run)))
}

/// The result that a step is given. The command line has exactly one.
fn given(given: cli::Given) -> Result<Given, Problem> {
    let json = match (given.failure, given.result) {
        (Some((code, message)), _) => {
            return Ok(Given::Failure(v1::Failure { code, message, retryable: false }));
        }
        (None, Some(result)) => input::json("the result", &result)?,
        (None, None) => serde_json::Value::Null,
    };
    Ok(Given::Payload(input::json_payload(&json)))
}

pub(super) async fn prioritize(
    session: &Session,
    run: String,
    priority: i32,
    by: By,
) -> Result<(), Problem> {
    let (tenant, steering) = (session.tenant(), Some(steering(by)));
    let request = v1::PrioritizeRunRequest { tenant, run, priority, steering };
    let run = answer!(session.client.runs().prioritize_run(request))?;
    let id = session.ui.paint().bold(text::line(&run.id));
    session.ui.tell(&run, format!("{id} has priority {}", run.priority))
}

fn told(session: &Session, run: &v1::Run) -> Result<(), Problem> {
    let id = session.ui.paint().bold(text::line(&run.id));
    session.ui.tell(run, format!("{id} is {}", state(run)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(state: v1::RunState) -> v1::Run {
        v1::Run { id: "run_1".into(), state: state.into(), ..v1::Run::default() }
    }

    #[test]
    fn what_a_cancel_did_depends_on_the_run() {
        let said = |state| cancelled(&run(state), Paint::plain());
        assert_eq!(said(v1::RunState::Cancelled), "run_1 is cancelled");
        assert_eq!(said(v1::RunState::Failed), "run_1 had already failed");
        assert!(said(v1::RunState::Running).contains("was asked to end"));
    }

    #[test]
    fn what_a_pause_did_depends_on_the_run() {
        let mut resting = run(v1::RunState::Waiting);
        resting.set_wait_reason(v1::WaitReason::Paused);
        assert_eq!(paused(&resting, Paint::plain()), "run_1 is waiting (paused)");
        let said = paused(&run(v1::RunState::Running), Paint::plain());
        assert!(said.contains("after its current step"), "{said}");
    }

    #[test]
    fn a_skipped_step_gives_null() {
        let words = |failure, result: Option<&str>| cli::Given {
            result: result.map(Into::into),
            skip: result.is_none(),
            failure,
        };
        assert_eq!(
            given(words(None, None)).unwrap(),
            Given::Payload(input::json_payload(&().into()))
        );
        let result = serde_json::json!({"a": 1});
        let written = given(words(None, Some("{\"a\": 1}"))).unwrap();
        assert_eq!(written, Given::Payload(input::json_payload(&result)));
        let failed = given(words(Some(("gone".into(), "no".into())), None)).unwrap();
        assert!(matches!(failed, Given::Failure(failure) if failure.code == "gone"));
    }
}
