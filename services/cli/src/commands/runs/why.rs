use tenure_sdk::v1;

use crate::problem::Problem;
use crate::session::{Session, answer};
use crate::ui::{note, text, time};

pub(super) async fn why(session: &Session, run: String) -> Result<(), Problem> {
    let why = explain(session, &run).await?;
    session.ui.tell(&why, sentence(&why))?;
    if let (false, Some(help)) = (session.ui.is_json(), help(session, &why.code, &run)) {
        note(format!("hint: {help}"));
    }
    Ok(())
}

/// Why a run is where it is.
pub(super) async fn explain(
    session: &Session,
    run: &str,
) -> Result<v1::ExplainRunResponse, Problem> {
    let request = v1::ExplainRunRequest { tenant: session.tenant(), run: run.to_owned() };
    Ok(answer!(session.client.runs().explain_run(request))?)
}

fn sentence(why: &v1::ExplainRunResponse) -> String {
    let since = why.since.as_ref().map_or_else(String::new, |since| {
        format!(", last changed {}", time::ago(time::moment(Some(since)), time::now()))
    });
    format!("{} ({}{since})", text::line(&why.sentence), text::line(&why.code))
}

/// The command that helps, where there is one.
fn help(session: &Session, code: &str, run: &str) -> Option<String> {
    let run = text::quoted(run);
    let (what, words) = match code {
        "no_worker" => ("start a worker: ", "worker --pool POOL".into()),
        "backs_off" | "starts_later" => ("do not wait: ", format!("runs retry {run}")),
        "blocked" => ("when its code is mended: ", format!("runs retry {run}")),
        "paused" => ("let it go on: ", format!("runs resume {run}")),
        "interrupt" => ("see what it asks: ", format!("inbox list --run {run}")),
        "signal" => ("send it: ", format!("runs signal {run} NAME")),
        "child" => ("see them: ", format!("runs list --parent {run}")),
        "failed" => ("try it once more: ", format!("runs requeue {run}")),
        _ => return None,
    };
    Some(format!("{what}'{}'", session.command(&words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_has_its_word_for_programs() {
        let why = v1::ExplainRunResponse {
            code: "paused".into(),
            sentence: "it is paused by ann\u{7}".into(),
            since: None,
        };
        assert_eq!(sentence(&why), r"it is paused by ann\u{7} (paused)");
    }
}
