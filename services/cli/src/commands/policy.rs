//! `tenure policy …`.

mod calls;

use std::path::Path;

use serde::Serialize;
use tenure_sdk::v1;
use tenure_spec::policy::{Call, Verdict};

use crate::cli::Policy;
use crate::commands::apply;
use crate::problem::Problem;
use crate::session::{Session, answer, page_size};
use crate::ui::progress::Progress;
use crate::ui::table::Table;
use crate::ui::text;
use calls::Made;

pub(crate) async fn policy(session: &Session, command: Policy) -> Result<(), Problem> {
    match command {
        Policy::Show => show(session).await,
        Policy::Set { file } => set(session, Some(read(&file)?.0)).await,
        Policy::Unset => set(session, None).await,
        Policy::Check { file, runs, agent, limit, all } => {
            let (_, policy) = read(&file)?;
            let runs = if runs.is_empty() {
                let agent = agent.map(|agent| agent.to_string()).unwrap_or_default();
                newest(session, agent, limit).await?
            } else {
                runs
            };
            check(session, &policy, &runs, all).await
        }
    }
}

/// The text of a policy, and what it says.
fn read(path: &Path) -> Result<(String, tenure_spec::Policy), Problem> {
    let text = apply::document(path)?;
    match tenure_spec::policy(&text) {
        Ok(policy) => Ok((text, policy)),
        Err(problems) => Err(Problem::new(apply::report(path, &problems))),
    }
}

async fn show(session: &Session) -> Result<(), Problem> {
    let request = v1::GetTenantRequest { name: session.tenant() };
    let tenant = answer!(session.client.tenants().get_tenant(request))?;
    let none = "no policy: each agent's own decides alone";
    let shown = tenant.policy.as_deref().map_or(none.into(), text::lines);
    session.ui.tell(&tenant, shown)
}

async fn set(session: &Session, policy: Option<String>) -> Result<(), Problem> {
    let done = if policy.is_some() { "set" } else { "removed" };
    let request = v1::SetTenantPolicyRequest { tenant: session.tenant(), policy };
    let tenant = answer!(session.client.tenants().set_tenant_policy(request))?;
    session.ui.tell(&tenant, format!("policy of tenant {} {done}", session.tenant()))
}

/// What a policy would have done with a call.
#[derive(Serialize)]
struct Judged {
    run: String,
    #[serde(flatten)]
    made: Made,
    verdict: Verdict,
    /// The rule that decides, counted from 0; none for the default.
    rule: Option<usize>,
}

async fn check(
    session: &Session,
    policy: &tenure_spec::Policy,
    runs: &[String],
    all: bool,
) -> Result<(), Problem> {
    let mut progress = Progress::new(!session.ui.is_json());
    let mut judged = Vec::new();
    for (done, run) in runs.iter().enumerate() {
        progress.set(&format!("{done} of {} runs looked at", runs.len()), "");
        let (agent, made) = calls::of(session, run).await?;
        judged.extend(made.into_iter().map(|made| judge(policy, &agent, run, made)));
    }
    drop(progress);
    let summary = summary(&judged, runs.len());
    judged.retain(|call| all || call.verdict != Verdict::Allow);
    let table = table(&judged).render(session.ui.paint());
    let text = if judged.is_empty() { summary } else { format!("{table}\n\n{summary}") };
    session.ui.tell(&judged, text)
}

fn judge(policy: &tenure_spec::Policy, agent: &str, run: &str, made: Made) -> Judged {
    let Made { tool, effect, arguments, .. } = &made;
    let ruling = policy.decide(&Call { tool, effect, arguments, agent });
    let (verdict, rule) = (ruling.verdict, ruling.rule);
    Judged { run: run.to_owned(), made, verdict, rule }
}

fn summary(judged: &[Judged], runs: usize) -> String {
    let count = |verdict| judged.iter().filter(|call| call.verdict == verdict).count();
    let calls = text::count(judged.len() as u64, "call", "calls");
    let runs = text::count(runs as u64, "run", "runs");
    let [allowed, asked, denied] = [Verdict::Allow, Verdict::Ask, Verdict::Deny].map(count);
    format!("{calls} in {runs}: {allowed} allowed, {asked} asked about, {denied} denied")
}

fn table(judged: &[Judged]) -> Table {
    let headings = ["RUN", "CALL", "TOOL", "VERDICT", "BY", "ARGUMENTS"];
    let mut table = Table::new(headings, "").whole(&[1, 3]).optional(&[1]);
    for Judged { run, made, verdict, rule } in judged {
        let by = rule.map_or("default".into(), |rule| format!("rule {rule}"));
        let arguments: String = made.arguments.to_string().chars().take(200).collect();
        let (key, tool) = (made.key.clone(), made.tool.clone());
        table.row([run.clone(), key, tool, verdict.to_string(), by, arguments]);
    }
    table
}

/// The newest runs, of one agent or of all.
async fn newest(session: &Session, agent: String, limit: usize) -> Result<Vec<String>, Problem> {
    let mut runs = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListRunsRequest {
            tenant: session.tenant(),
            agent: agent.clone(),
            page_size: page_size(limit - runs.len()),
            page_token,
            ..v1::ListRunsRequest::default()
        };
        let page = answer!(session.client.runs().list_runs(request))?;
        runs.extend(page.runs.into_iter().map(|run| run.id));
        page_token = page.next_page_token;
        if page_token.is_empty() || runs.len() >= limit {
            runs.truncate(limit);
            return Ok(runs);
        }
    }
}
