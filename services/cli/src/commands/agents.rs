//! `tenure agents …`.

mod check;

use std::process::ExitCode;

use serde_json::json;
use tenure_core::Name;
use tenure_sdk::v1;

use crate::cli::{AgentRef, Agents, Cap};
use crate::problem::Problem;
use crate::session::{Session, answer};
use crate::ui::table::Table;
use crate::ui::{text, time};

/// What is shown of a version's digest: enough to tell two apart.
const DIGEST: usize = 12;

pub(crate) async fn agents(session: &Session, command: Agents) -> Result<ExitCode, Problem> {
    match command {
        Agents::List => list(session).await?,
        Agents::Get { agent } => get(session, agent).await?,
        Agents::Versions { agent } => versions(session, agent).await?,
        Agents::Alias { agent, alias, targets } => {
            set_alias(session, agent, alias, &targets).await?;
        }
        Agents::Check { agent, version, limit } => {
            return check::check_parked(session, &agent, &version, limit).await;
        }
        Agents::Cap { agent, cap } => set_cap(session, agent, cap).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(session: &Session) -> Result<(), Problem> {
    let mut all = v1::ListAgentsResponse::default();
    loop {
        let page_token = std::mem::take(&mut all.next_page_token);
        let request = v1::ListAgentsRequest { tenant: session.tenant(), page_token, page_size: 0 };
        let page = answer!(session.client.agents().list_agents(request))?;
        all.agents.extend(page.agents);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            return session.ui.show(&all, agent_table(&all.agents));
        }
    }
}

fn agent_table(agents: &[v1::Agent]) -> Table {
    let now = time::now();
    let empty = "no agents; publish one with 'tenure apply -f FILE'";
    let mut table = Table::new(["NAME", "LATEST VERSION", "CAP", "CREATED"], empty);
    for agent in agents {
        let latest = match agent.latest_version {
            0 => "none yet".to_owned(),
            number => number.to_string(),
        };
        let created = time::ago(time::moment(agent.created_at.as_ref()), now);
        table.row([agent.name.clone(), latest, cap(agent.max_running), created]);
    }
    table
}

/// How many runs may be leased at a time, in a table.
pub(crate) fn cap(max_running: Option<u32>) -> String {
    max_running.map_or_else(|| "none".into(), |number| text::thousands(number.into()))
}

async fn set_cap(session: &Session, agent: Name, cap: Cap) -> Result<(), Problem> {
    let request = v1::SetAgentCapRequest {
        tenant: session.tenant(),
        agent: agent.to_string(),
        max_running: cap.0,
    };
    let capped = answer!(session.client.agents().set_agent_cap(request))?;
    session.ui.tell(&capped, capped_sentence(agent.as_str(), capped.max_running))
}

/// `digest: at most 3 runs at a time`.
pub(crate) fn capped_sentence(name: &str, max_running: Option<u32>) -> String {
    match max_running {
        Some(number) => {
            format!("{name}: at most {} at a time", text::count(number.into(), "run", "runs"))
        }
        None => format!("{name}: any number of runs at a time"),
    }
}

async fn get(session: &Session, agent: AgentRef) -> Result<(), Problem> {
    let mut agents = session.client.agents();
    let (tenant, name) = (session.tenant(), agent.agent.to_string());
    let request = v1::ListAliasesRequest { tenant: tenant.clone(), agent: name.clone() };
    let aliases = answer!(agents.list_aliases(request))?;
    let request = v1::GetVersionRequest { tenant, agent: name, version: agent.version };
    let version = answer!(agents.get_version(request))?;
    if session.ui.is_json() {
        return session.ui.object(&json!({"version": version, "aliases": aliases.aliases}));
    }
    session.ui.line(properties(&version, &aliases.aliases).render(session.ui.paint()))?;
    Ok(session.ui.line(format!("\n{}", text::lines(&readable(&version.spec))))?)
}

fn properties(version: &v1::Version, aliases: &[v1::Alias]) -> Table {
    let mut table = Table::properties();
    table.property("agent", &version.agent);
    table.property("version", version.number.to_string());
    table.property("digest", &version.digest);
    table.property("pool", &version.pool);
    let published = time::moment(version.created_at.as_ref());
    table.property("published", time::ago(published, time::now()));
    table.property("aliases", aliases.iter().map(alias_line).collect::<Vec<_>>().join("\n"));
    table
}

/// `stable → version 3 (90 %), version 4 (10 %)`.
fn alias_line(alias: &v1::Alias) -> String {
    let sum: u64 = alias.targets.iter().map(|target| u64::from(target.weight)).sum();
    let share = |target: &v1::AliasTarget| {
        let percent = u64::from(target.weight) * 100 / sum.max(1);
        match alias.targets.len() {
            1 => format!("version {}", target.version),
            _ => format!("version {} ({percent} %)", target.version),
        }
    };
    let targets: Vec<_> = alias.targets.iter().map(share).collect();
    format!("{} → {}", alias.name, targets.join(", "))
}

fn readable(spec: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(spec) {
        Ok(value) => format!("{value:#}"),
        Err(_) => spec.to_owned(),
    }
}

async fn versions(session: &Session, agent: Name) -> Result<(), Problem> {
    let mut all = v1::ListVersionsResponse::default();
    loop {
        let page_token = std::mem::take(&mut all.next_page_token);
        let request = v1::ListVersionsRequest {
            tenant: session.tenant(),
            agent: agent.to_string(),
            page_token,
            page_size: 0,
        };
        let page = answer!(session.client.agents().list_versions(request))?;
        all.versions.extend(page.versions);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            return session.ui.show(&all, version_table(&all.versions));
        }
    }
}

fn version_table(versions: &[v1::Version]) -> Table {
    let now = time::now();
    let empty = "no versions; publish one with 'tenure apply -f FILE'";
    let mut table =
        Table::new(["VERSION", "DIGEST", "POOL", "PUBLISHED"], empty).whole(&[1]).optional(&[3, 2]);
    for version in versions {
        let published = time::ago(time::moment(version.created_at.as_ref()), now);
        let digest = version.digest.chars().take(DIGEST).collect();
        table.row([version.number.to_string(), digest, version.pool.clone(), published]);
    }
    table
}

async fn set_alias(
    session: &Session,
    agent: Name,
    alias: Name,
    targets: &[(u32, u32)],
) -> Result<(), Problem> {
    let target =
        |(version, weight): &(u32, u32)| v1::AliasTarget { version: *version, weight: *weight };
    let request = v1::SetAliasRequest {
        tenant: session.tenant(),
        agent: agent.to_string(),
        alias: alias.to_string(),
        targets: targets.iter().map(target).collect(),
    };
    let alias = answer!(session.client.agents().set_alias(request))?;
    session.ui.tell(&alias, text::line(&format!("{agent}: {}", alias_line(&alias))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_told_in_runs() {
        assert_eq!(capped_sentence("digest", Some(1)), "digest: at most 1 run at a time");
        assert_eq!(capped_sentence("digest", None), "digest: any number of runs at a time");
        assert_eq!((cap(Some(2_000)), cap(None)), ("2,000".into(), "none".into()));
    }

    #[test]
    fn an_alias_is_told_in_shares() {
        let target = |version, weight| v1::AliasTarget { version, weight };
        let mut alias = v1::Alias { name: "stable".into(), ..v1::Alias::default() };
        alias.targets = vec![target(3, 7)];
        assert_eq!(alias_line(&alias), "stable → version 3");
        alias.targets = vec![target(3, 9), target(4, 1)];
        assert_eq!(alias_line(&alias), "stable → version 3 (90 %), version 4 (10 %)");
    }
}
