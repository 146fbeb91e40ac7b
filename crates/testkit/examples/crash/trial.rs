//! One trial: everything started, hurt, waited for and judged.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tenure_sdk::{Client, v1};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::chaos::{self, Until};
use crate::database::Database;
use crate::evidence;
use crate::fault::{self, Dealer};
use crate::log::{self, Log};
use crate::memory::Memory;
use crate::options::Test;
use crate::program::{AGENT, CALLED};
use crate::progress;
use crate::report;
use crate::runs::{Ledger, Runs};
use crate::site::Site;
use crate::verdict;

/// How long what was interrupted last may take to end.
const QUIET: Duration = Duration::from_mins(1);
/// How long the control plane may take to answer questions while there are no faults.
const ANSWERS: Duration = Duration::from_secs(30);
/// How long it may take to give all runs back, with their journals.
const GATHERING: Duration = Duration::from_mins(5);

/// Whether everything held.
pub(crate) async fn run(
    test: &Test,
    database: &Database,
    directory: &Path,
) -> anyhow::Result<bool> {
    let began = Instant::now();
    let site = Arc::new(Site::start(test, database, directory).await?);
    introduce(test, &site, database);
    let connect = || anyhow::Ok(Client::connect(&site.url, "default".parse()?)?);
    let (client, rival) = (connect()?, connect()?);
    timeout(ANSWERS, publish(&client)).await.context("the control plane does not answer")??;

    let memory = Arc::new(Memory::default());
    let log = Log::open(&log::events(directory))?;
    let runs = Runs::new([client, rival], log, test.seed, memory.clone());
    let kinds = fault::kinds(test.database, database.postgres().is_some(), test.redis());
    let dealer = Dealer::new(kinds.clone(), site.size(), test.seed);
    tokio::select! {
        ended = storm(test, &site, &runs, dealer) => ended?,
        () = memory.sample(&runs) => {}
        () = progress::say(&site, &runs, began) => {}
    }
    progress::end();
    site.lives().await?;

    let gathered = timeout(GATHERING, evidence::gather(&runs, &memory, directory)).await;
    let evidence = gathered.context("the control plane does not answer")??;
    evidence.keep(&directory.join("runs.jsonl"))?;
    let findings = verdict::findings(&evidence);
    let onces = verdict::onces(&evidence);
    let passed = verdict::pronounce(&verdict::judge(&evidence, &findings, &onces, &kinds));
    report::print(&evidence, &findings);
    let (word, seconds) = (if passed { "passed" } else { "FAILED" }, began.elapsed().as_secs());
    let (name, seed) = (test.database.name(), test.seed);
    println!("crash: {word} on {name} in {seconds} s, seed {seed}\n");
    Ok(passed)
}

fn introduce(test: &Test, site: &Site, database: &Database) {
    let (workers, control_planes) = site.size();
    let work = match test.minutes {
        Some(minutes) => format!("{minutes} min of runs"),
        None => format!("{} runs", test.runs),
    };
    let (name, seed) = (test.database.name(), test.seed);
    let s = if control_planes == 1 { "" } else { "s" };
    let redis = if test.redis() { " with Redis" } else { "" };
    println!(
        "crash: {work} over {workers} workers and {control_planes} control plane{s} on \
         {name}{redis}, seed {seed}"
    );
    if database.target().is_some() && database.postgres().is_none() {
        println!("  PostgreSQL is not of this test's own, so it is neither killed nor restarted");
    }
}

/// Runs and faults, and then the end of all runs without faults.
async fn storm(
    test: &Test,
    site: &Arc<Site>,
    runs: &Arc<Runs>,
    dealer: Dealer,
) -> anyhow::Result<()> {
    let until = match test.minutes {
        Some(minutes) => Until::Passed(Instant::now() + Duration::from_mins(minutes.into())),
        None => Until::Ended(usize::try_from(test.runs)?),
    };
    // Ends with this future, whatever ends that.
    let mut creating = JoinSet::new();
    creating.spawn(runs.clone().create_all(test.wanted()));
    chaos::reign(site, runs, dealer, until).await?;
    runs.enough();
    let end = async {
        while let Some(ended) = creating.join_next().await {
            ended?;
        }
        anyhow::Ok(runs.all_ended().await?)
    };
    match timeout(QUIET, end).await {
        Ok(ended) => ended,
        Err(_) => stuck(runs).await,
    }
}

/// Says which runs have not ended, and what else was wrong.
async fn stuck(runs: &Runs) -> anyhow::Result<()> {
    let Ledger { problems, .. } = runs.ledger().clone();
    for problem in problems {
        println!("  problem: {problem}");
    }
    let open = timeout(ANSWERS, runs.list(true)).await.context("no control plane answers")??;
    for run in &open {
        println!("  stuck: {run:?}");
    }
    bail!("{QUIET:?} after the last fault {} runs have not ended", open.len())
}

/// Makes the agents known as their workers do, so that runs can be created before one of them is up.
async fn publish(client: &Client) -> anyhow::Result<()> {
    for agent in [AGENT, CALLED] {
        let document = format!("{{name: {agent}, kind: external, pool: {agent}}}");
        let request = v1::PublishVersionRequest { tenant: client.tenant().to_string(), document };
        let publish = || {
            let (mut agents, request) = (client.agents(), request.clone());
            async move { agents.publish_version(request).await }
        };
        client.retry(publish).await.context("the agent cannot be published")?;
    }
    Ok(())
}
