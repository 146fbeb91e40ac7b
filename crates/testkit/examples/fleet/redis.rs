//! Redis away: under load, the Redis that carries hints dies, and comes back after some time; and
//! the same load without any.
//!
//! Clients talk to one control plane and workers to two others, so no run starts or goes on before a
//! hint, or the next look without one, has got from one process to another.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tenure_testkit::redis::Server;
use tokio::time::sleep;

use crate::agent::ERRAND;
use crate::clients::Clients;
use crate::figures::{HEAD, Times};
use crate::ledger::Ledger;
use crate::load::Load;
use crate::log::{self, Event, Line};
use crate::options::{Play, Scenario};
use crate::site::{Plan, Site};
use crate::verdict::{self, Check};

const CONTROL_PLANES: usize = 3;
const WORKERS: usize = 4;
/// Clients, each with a connection of its own.
const CLIENTS: usize = 4;
/// Load that is not counted: connections are made.
const WARM: Duration = Duration::from_secs(5);
/// How long it is measured before and after the outage, and without Redis.
const MEASURED: Duration = Duration::from_secs(30);

/// What came of a load.
pub(crate) struct Outcome {
    phases: Vec<Phase>,
    ledger: Ledger,
    log: Vec<Line>,
    /// How many control planes have said that hints do not get through.
    noticed: usize,
}

/// A part of a load, and from when to when it was, in microseconds since 1970.
struct Phase {
    name: &'static str,
    began: u64,
    ended: u64,
}

impl Phase {
    /// Lasts as long as this does.
    async fn of<T>(name: &'static str, lasts: impl Future<Output = T>) -> Self {
        let began = log::now();
        lasts.await;
        Self { name, began, ended: log::now() }
    }
}

/// Redis dies and comes back.
pub(crate) async fn outage(
    options: &Play,
    database_url: String,
    directory: PathBuf,
) -> anyhow::Result<Outcome> {
    let (rate, away) = (options.rate(Scenario::Redis), options.away);
    println!(
        "fleet redis: {CONTROL_PLANES} control planes, {WORKERS} workers, {rate} runs a second; \
         Redis is away for {away} s"
    );
    let mut redis = Server::stopped();
    redis.start().await;
    let place = Place { database_url, redis_url: Some(redis.url.clone()), directory };
    place
        .load(rate, async || {
            let before = Phase::of("with Redis, before", sleep(MEASURED)).await;
            redis.kill().await;
            let away = Phase::of("while Redis is away", sleep(Duration::from_secs(away))).await;
            redis.start().await;
            let after = Phase::of("with Redis again", sleep(MEASURED)).await;
            vec![before, away, after]
        })
        .await
}

/// PostgreSQL carries the hints.
pub(crate) async fn plain(
    options: &Play,
    database_url: String,
    directory: PathBuf,
) -> anyhow::Result<Outcome> {
    let place = Place { database_url, redis_url: None, directory };
    let phases = async || vec![Phase::of("without any Redis", sleep(MEASURED)).await];
    place.load(options.rate(Scenario::Redis), phases).await
}

/// Where a load happens.
struct Place {
    database_url: String,
    redis_url: Option<String>,
    directory: PathBuf,
}

impl Place {
    /// Load, as long as the phases last.
    async fn load(
        self,
        rate: u32,
        phases: impl AsyncFnOnce() -> Vec<Phase>,
    ) -> anyhow::Result<Outcome> {
        let Self { database_url, redis_url, directory } = self;
        let (control_planes, workers, apart) = (CONTROL_PLANES, WORKERS, true);
        let plan = Plan { database_url, redis_url, directory, control_planes, workers, apart };
        let mut site = Site::start(&plan).await?;
        let clients = Arc::new(Clients::new(site.clients(CLIENTS)));
        clients.publish().await?;
        let load = Load::start(clients, ERRAND, rate);
        sleep(WARM).await;
        let phases = phases().await;
        let ledger = load.finish().await;
        site.lives()?;
        let log = log::read(&site.log)?;
        Ok(Outcome { phases, ledger, log, noticed: noticed(&plan)? })
    }
}

/// How many control planes have said that hints do not get through.
fn noticed(plan: &Plan) -> std::io::Result<usize> {
    let said = plan.said_by_control_planes()?;
    Ok(said.iter().filter(|said| said.contains("no hints through Redis")).count())
}

/// Prints what was measured and judged; whether everything held.
pub(crate) fn report(carried: &Outcome, plain: &Outcome) -> bool {
    println!(
        "  in ms                create to first code of the run   signal to code that goes on"
    );
    println!("                       {HEAD} {HEAD}");
    let mut met = true;
    for outcome in [carried, plain] {
        let (began, resumed) =
            (first(&outcome.log, &Event::Began), first(&outcome.log, &Event::Resumed));
        for phase in &outcome.phases {
            let (starts, wakes) = (starts(outcome, phase, &began), wakes(outcome, phase, &resumed));
            println!("  {:<21}{starts} {wakes}", phase.name);
        }
    }
    for (outcome, side) in [(carried, "with Redis"), (plain, "without")] {
        println!("  {side}:");
        met &= verdict::pronounce(&[
            verdict::succeeded(&outcome.ledger),
            verdict::healed(&outcome.ledger),
            verdict::once(&outcome.log),
        ]);
    }
    met & verdict::pronounce(&[seen(carried)])
}

fn seen(carried: &Outcome) -> Check {
    let noticed = carried.noticed;
    let deaf = (noticed < CONTROL_PLANES).then(|| "the others did not use it".to_owned());
    Check::new(
        "every control plane has noticed the outage",
        format!("{noticed} of {CONTROL_PLANES}"),
        deaf.into_iter().collect(),
    )
}

/// By run, when this happened first.
fn first<'a>(log: &'a [Line], event: &Event) -> HashMap<&'a str, u64> {
    let mut first = HashMap::new();
    for line in log.iter().filter(|line| line.event == *event) {
        first.entry(&*line.run).or_insert(line.at);
    }
    first
}

/// From the request for a run to its code, of the runs that were asked for in this phase.
fn starts(outcome: &Outcome, phase: &Phase, began: &HashMap<&str, u64>) -> Times {
    let causes = outcome.ledger.runs.values().map(|run| (&*run.id, Some(run.asked)));
    since(causes, phase, began)
}

/// From a signal to the code behind it, of the signals that were sent in this phase.
fn wakes(outcome: &Outcome, phase: &Phase, resumed: &HashMap<&str, u64>) -> Times {
    let causes = outcome.ledger.runs.values().map(|run| (&*run.id, run.signalled));
    since(causes, phase, resumed)
}

fn since<'a>(
    causes: impl Iterator<Item = (&'a str, Option<u64>)>,
    phase: &Phase,
    effects: &HashMap<&str, u64>,
) -> Times {
    let times = causes.filter_map(|(run, cause)| {
        let cause = cause.filter(|cause| (phase.began..phase.ended).contains(cause))?;
        Some(Duration::from_micros(effects.get(run)?.saturating_sub(cause)))
    });
    Times::of(times)
}
