//! New runs that begin with the journal of another.

use tenure_core::{ErrorKind, StateName};
use tenure_sdk::v1;

use super::state;
use crate::cli::{Fork, Tools};
use crate::input;
use crate::problem::Problem;
use crate::session::{self, Session, answer};
use crate::ui::{note, text};

pub(super) async fn fork(session: &Session, command: Fork) -> Result<(), Problem> {
    let version = command.version.map(|version| version.to_string());
    let mut request = v1::ForkRunRequest {
        tenant: session.tenant(),
        run: command.run,
        from_step: command.from_step.unwrap_or_default(),
        version: version.unwrap_or_default(),
        input: input::given(&command.input)?,
        labels: command.labels.into_iter().collect(),
        idempotency_key: command.idempotency_key.unwrap_or_default(),
        ..v1::ForkRunRequest::default()
    };
    request.set_tools(match command.tools {
        Tools::Live => v1::ForkTools::Live,
        Tools::Recorded => v1::ForkTools::Recorded,
    });
    forked(session, request).await
}

/// Forks the whole journal of a run that has ended without success.
pub(super) async fn requeue(session: &Session, run: String) -> Result<(), Problem> {
    let first = session.run(&run).await?;
    let given_up = matches!(session::state(&first), Some(StateName::Failed | StateName::Cancelled));
    if !given_up {
        return Err(refused(&first));
    }
    let tenant = session.tenant();
    forked(session, v1::ForkRunRequest { tenant, run, ..v1::ForkRunRequest::default() }).await
}

fn refused(run: &v1::Run) -> Problem {
    let (id, state) = (&run.id, state(run));
    let hint = match session::state(run) {
        Some(StateName::Succeeded) => format!("copy it with 'tenure runs fork {id}'"),
        _ => format!("look what it waits for with 'tenure runs why {id}'"),
    };
    Problem::new(format!("{id} is {state}: only what has failed or was cancelled is requeued"))
        .hint(hint)
}

/// The id alone on standard output, as for `tenure run`.
async fn forked(session: &Session, request: v1::ForkRunRequest) -> Result<(), Problem> {
    let from = text::line(&request.run).into_owned();
    let cut = !request.from_step.is_empty();
    let run =
        answer!(session.client.runs().fork_run(request)).map_err(|error| match error.kind() {
            ErrorKind::NotFound if cut => Problem::from(error).hint(format!(
                "see its keys with '{}'",
                session.command(&format!("journal {from}"))
            )),
            _ => error.into(),
        })?;
    if session.ui.is_json() {
        return session.ui.object(&run);
    }
    let (id, agent) = (text::line(&run.id), text::line(&run.agent));
    session.ui.line(&id)?;
    let entries = text::count(run.entries, "entry", "entries");
    note(format!("{agent} version {} is {}, with {entries} of {from}", run.version, state(&run)));
    note(format!(
        "hint: compare them with '{}'",
        session.command(&format!("runs diff {from} {id}"))
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_goes_on_by_itself_is_not_requeued() {
        let mut run = v1::Run { id: "run_1".into(), ..v1::Run::default() };
        run.set_state(v1::RunState::Waiting);
        let said = refused(&run).render();
        assert!(said.contains("run_1 is waiting") && said.contains("runs why run_1"), "{said}");
        run.set_state(v1::RunState::Succeeded);
        assert!(refused(&run).render().contains("runs fork run_1"));
    }
}
