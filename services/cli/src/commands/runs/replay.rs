use std::process::ExitCode;

use serde_json::json;
use tenure_core::Name;

use super::check::{Verdict, check};
use crate::problem::Problem;
use crate::session::Session;
use crate::ui::paint::Paint;
use crate::ui::progress::Progress;
use crate::ui::text;

pub(super) async fn replay(
    session: &Session,
    run: &str,
    version: Option<Name>,
) -> Result<ExitCode, Problem> {
    let version = version.map(|version| version.to_string()).unwrap_or_default();
    let mut progress = Progress::new(!session.ui.is_json());
    let state = format!("a worker is asked to replay {}", text::line(run));
    progress.set(&state, "");
    let verdict = check(session, run, &version, |why| {
        progress.set(&format!("the check is not done yet: {why}"), "");
    });
    let verdict = verdict.await?;
    drop(progress);
    session.ui.tell(&object(run, &verdict), painted(&verdict, session.ui.paint()))?;
    Ok(if verdict.agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn painted(verdict: &Verdict, paint: Paint) -> String {
    match verdict {
        Verdict::Agrees { .. } => paint.good(verdict.sentence()),
        Verdict::Disagrees(_) => paint.bad(verdict.sentence()),
        Verdict::Unknown(_) => paint.notable(verdict.sentence()),
    }
}

/// The verdict for programs.
pub(crate) fn object(run: &str, verdict: &Verdict) -> serde_json::Value {
    match verdict {
        Verdict::Agrees { entries, next } => {
            json!({"run": run, "verdict": "agrees", "entries": entries, "next": next})
        }
        Verdict::Disagrees(failure) => {
            json!({"run": run, "verdict": "disagrees", "failure": failure})
        }
        Verdict::Unknown(why) => json!({"run": run, "verdict": "unknown", "why": why}),
    }
}
