//! The rolling restart: under load, every control plane and every worker is told to stop and
//! replaced, one after the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::agent::JOURNEY;
use crate::clients::Clients;
use crate::figures::{HEAD, Times};
use crate::ledger::Ledger;
use crate::load::Load;
use crate::log;
use crate::options::{Play, Scenario};
use crate::site::{LEASE_TTL, NOTICED, Plan, Site};
use crate::verdict;

const CONTROL_PLANES: usize = 3;
const WORKERS: usize = 6;
/// Clients, each with a connection of its own.
const CLIENTS: usize = 8;
/// Load before the first is replaced, and after the last.
const WARM: Duration = Duration::from_secs(4);
/// The pause before the next one is replaced.
const BETWEEN: Duration = Duration::from_secs(2);

/// How long the processes took to stop.
#[derive(Default)]
struct Stops {
    control_planes: Vec<Duration>,
    workers: Vec<Duration>,
}

/// Whether everything held.
pub(crate) async fn run(
    options: &Play,
    database_url: String,
    directory: PathBuf,
) -> anyhow::Result<bool> {
    let (rate, rounds) = (options.rate(Scenario::Rolling), options.rounds);
    println!(
        "fleet rolling: {CONTROL_PLANES} control planes and {WORKERS} workers, each replaced \
         {rounds} times, {rate} runs a second"
    );
    let began = Instant::now();
    let (control_planes, workers) = (CONTROL_PLANES, WORKERS);
    let (redis_url, apart) = (None, false);
    let plan = Plan { database_url, redis_url, directory, control_planes, workers, apart };
    let mut site = Site::start(&plan).await?;
    let clients = Arc::new(Clients::new(site.clients(CLIENTS)));
    clients.publish().await?;

    let load = Load::start(clients, JOURNEY, rate);
    let stops = replace_all(&mut site, rounds).await?;
    let ledger = load.finish().await;
    site.lives()?;
    let log = log::read(&site.log)?;
    report(&ledger, stops, &plan)?;
    let met = verdict::pronounce(&[
        verdict::succeeded(&ledger),
        verdict::healed(&ledger),
        verdict::steady(&ledger, LEASE_TTL + NOTICED),
        verdict::once(&log),
        verdict::kept(&ledger),
    ]);
    println!("fleet rolling: {} s\n", began.elapsed().as_secs());
    Ok(met)
}

/// One after the other, all of them, so often.
async fn replace_all(site: &mut Site, rounds: u32) -> anyhow::Result<Stops> {
    let mut stops = Stops::default();
    sleep(WARM).await;
    for _ in 0..rounds {
        for place in 0..CONTROL_PLANES {
            sleep(BETWEEN).await;
            stops.control_planes.push(site.replace_control_plane(place).await?);
        }
        for place in 0..WORKERS {
            sleep(BETWEEN).await;
            stops.workers.push(site.replace_worker(place).await?);
        }
    }
    sleep(WARM).await;
    Ok(stops)
}

/// How many runs the workers had when they were told to stop, as they say themselves.
fn drained(plan: &Plan) -> std::io::Result<usize> {
    let said = plan.said_by_workers()?.concat();
    let counts = said.lines().filter_map(|line| line.split_once("draining ")?.1.split_once(' '));
    Ok(counts.filter_map(|(count, _)| count.parse::<usize>().ok()).sum())
}

/// How many runs came back because nobody had answered for them: offers, as no lease may be lost.
/// One that is on its way to a worker that stops polling in that moment is lost with the poll.
fn ran_out(plan: &Plan) -> std::io::Result<usize> {
    let said = plan.said_by_control_planes()?.concat();
    Ok(said.lines().filter(|line| line.contains("ran out of time")).count())
}

fn report(ledger: &Ledger, stops: Stops, plan: &Plan) -> std::io::Result<()> {
    println!("  call             sent  failed at first  longest to heal  cut and resumed");
    for (call, tally) in &ledger.calls {
        let longest = format!("{:.2} s", tally.longest.as_secs_f64());
        println!(
            "  {call:<15}{:>6}{:>17}{longest:>17}{:>17}",
            tally.calls, tally.healed, tally.cut
        );
    }
    println!("  stopped, in ms   {HEAD}");
    println!("  control planes   {}", Times::of(stops.control_planes));
    println!("  workers          {}", Times::of(stops.workers));
    let (drained, ran_out) = (drained(plan)?, ran_out(plan)?);
    println!("  runs that stopping workers had: {drained}; offers that ran out: {ran_out}");
    Ok(())
}
