//! Checking whether code agrees with a journal: asked of the control plane, done by a worker.

use std::time::Duration;

use serde_json::Value;
use tenure_core::StateName;
use tenure_sdk::v1;
use tokio::time::{Instant, interval_at};

use super::why::explain;
use crate::problem::Problem;
use crate::session::{self, Session, answer};
use crate::ui::text;
use crate::watch::watch;

/// How long a check may be without an end before we ask what it waits for, again and again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a check says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The code finds all entries where it asks for them…
    Agrees {
        /// …which are so many,
        entries: u64,
        /// and would go on with these.
        next: Vec<String>,
    },
    /// The code asks for something else, or cannot be executed.
    Disagrees(v1::Failure),
    /// Nobody has looked.
    Unknown(String),
}

impl Verdict {
    pub(crate) fn agrees(&self) -> bool {
        matches!(self, Self::Agrees { .. })
    }

    /// One sentence.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Agrees { entries, next } => {
                let entries = text::count(*entries, "entry", "entries");
                format!("agrees: {entries}, {}", go_on(next))
            }
            Self::Disagrees(failure) => format!("does not agree: {}", failure_text(failure)),
            Self::Unknown(why) => format!("could not be checked: {why}"),
        }
    }
}

fn go_on(next: &[String]) -> String {
    match next {
        [] => "and the code comes to its end".into(),
        keys => format!("would go on with {}", text::line(&keys.join(", "))),
    }
}

/// A mismatch names itself; of others the code is worth knowing.
fn failure_text(failure: &v1::Failure) -> String {
    match &*failure.code {
        "mismatch" => text::line(failure.message.trim_end()).into_owned(),
        _ => crate::timeline::failure(failure),
    }
}

/// Has a worker check the journal of a run. As long as that has no end, `waiting` is told why.
pub(crate) async fn check(
    session: &Session,
    run: &str,
    version: &str,
    waiting: impl FnMut(&str),
) -> Result<Verdict, Problem> {
    let (run, version) = (run.to_owned(), version.to_owned());
    let request = v1::CheckRunRequest { tenant: session.tenant(), run, version };
    let check = answer!(session.client.runs().check_run(request))?;
    Ok(verdict(&patiently(session, &check.id, waiting).await?))
}

async fn patiently(
    session: &Session,
    check: &str,
    mut waiting: impl FnMut(&str),
) -> Result<v1::Run, Problem> {
    let watched = watch(&session.client, check, |_| Ok(()));
    tokio::pin!(watched);
    let mut looks = interval_at(Instant::now() + PATIENCE, PATIENCE);
    loop {
        tokio::select! {
            ended = &mut watched => return ended,
            // The watch says so if the control plane is away.
            _ = looks.tick() => if let Ok(why) = explain(session, check).await {
                waiting(&text::line(&why.sentence));
            },
        }
    }
}

/// What the run that checked has come to.
fn verdict(check: &v1::Run) -> Verdict {
    match (session::state(check), &check.failure) {
        (Some(StateName::Succeeded), _) => agreement(check.output.as_ref()),
        (Some(StateName::Failed), Some(failure)) => match &*failure.code {
            "deadline" => Verdict::Unknown("no worker has done it in time".into()),
            "exhausted" => Verdict::Unknown(crate::timeline::failure(failure)),
            _ => Verdict::Disagrees(failure.clone()),
        },
        _ => Verdict::Unknown(format!("the check is {}", super::state(check))),
    }
}

/// What the worker wrote: `{"entries": 3, "next": ["b"]}`.
fn agreement(output: Option<&v1::Payload>) -> Verdict {
    let output = output.map(|output| serde_json::from_slice(&output.data).unwrap_or_default());
    let output: Value = output.unwrap_or_default();
    let keys = output["next"].as_array().into_iter().flatten();
    Verdict::Agrees {
        entries: output["entries"].as_u64().unwrap_or(0),
        next: keys.filter_map(|key| key.as_str().map(Into::into)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input;

    fn failed(code: &str) -> v1::Run {
        let failure = v1::Failure {
            code: code.into(),
            message: "entry `b` does not fit the code".into(),
            retryable: false,
        };
        let mut run = v1::Run { failure: Some(failure), ..v1::Run::default() };
        run.set_state(v1::RunState::Failed);
        run
    }

    #[test]
    fn an_agreement_says_what_would_come_next() {
        let output = serde_json::json!({"entries": 2, "next": ["b", "signal:ok"]});
        let mut run = v1::Run { output: Some(input::json_payload(&output)), ..v1::Run::default() };
        run.set_state(v1::RunState::Succeeded);
        let agrees = verdict(&run);
        assert!(agrees.agrees());
        assert_eq!(agrees.sentence(), "agrees: 2 entries, would go on with b, signal:ok");
        run.output = Some(input::json_payload(&serde_json::json!({"entries": 1, "next": []})));
        assert_eq!(verdict(&run).sentence(), "agrees: 1 entry, and the code comes to its end");
    }

    #[test]
    fn a_check_that_nobody_did_is_no_disagreement() {
        let mismatch = verdict(&failed("mismatch")).sentence();
        assert_eq!(mismatch, "does not agree: entry `b` does not fit the code");
        assert!(verdict(&failed("panic")).sentence().ends_with("(panic)"));
        assert!(matches!(verdict(&failed("deadline")), Verdict::Unknown(_)));
        assert!(matches!(verdict(&failed("exhausted")), Verdict::Unknown(_)));
        assert!(matches!(verdict(&v1::Run::default()), Verdict::Unknown(_)));
    }
}
