//! Dispatch: how fast a run starts on a system that has nothing else to do, and beside a tenant with a
//! long queue.

use anyhow::ensure;
use tenure_testkit::databases::Database;
use tenure_testkit::figures::{Sample, float};

use crate::crowd::situation::{SITUATIONS, Situation, Start};
use crate::crowd::{plans, populate};
use crate::load::Work;
use crate::options::{Plan, Section};
use crate::report::{Report, Values, progress};
use crate::site::{Site, Stage};
use crate::system::{CROWD, System, UNTENDED};
use crate::throughput::BYTES;

/// Runs that a worker that is driven by hand is given on each side in each round.
const STARTS: usize = 50;
/// Runs that are made through the API and then copied.
const ORIGINALS: usize = 20;
/// One run at a time, with pauses.
pub(crate) const CALM: Work =
    Work { concurrency: 16, steps: 1, bytes: BYTES, seconds: 0.0, rate: Some(20.0) };
/// The sides.
const NAMES: [&str; 2] = ["empty", "crowd"];

/// Measures both sides.
pub(crate) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let many = plan.crowd()?;
    let mut sides = [
        stage.system("nothing queued", UNTENDED).await?,
        stage.system(&format!("{many} queued"), UNTENDED).await?,
    ];
    fill(&mut sides[1], many).await?;
    for side in &mut sides {
        populate::warm_up(side).await?;
        side.database.settle().await?;
    }
    let situations = if plan.quick { &SITUATIONS[..1] } else { &SITUATIONS[..] };
    for situation in situations {
        by_hand(situation, &sides, plan, report).await?;
    }
    let [empty, crowd] = sides;
    let mut sites = [stage.site(empty, &[]).await?, stage.site(crowd, &[]).await?];
    by_worker(&mut sites, plan, report).await?;
    for site in sites {
        let mut database = site.stop().await?;
        check(&mut database).await?;
        database.settle().await?;
        plans::report(&mut database, Section::Dispatch, report).await?;
    }
    Ok(())
}

async fn fill(system: &mut System, count: usize) -> anyhow::Result<()> {
    for number in 0..ORIGINALS {
        system.create(CROWD, number, 0).await?;
    }
    populate::copy(&mut system.database, count - ORIGINALS).await
}

/// Until the first code of the user, in a worker as users have it.
async fn by_worker(sites: &mut [Site; 2], plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for round in 0..plan.rounds() {
        for place in order(round) {
            let site = &mut sites[place];
            let values = calm(site, plan).await?;
            let row = format!("{}, first user code", NAMES[place]);
            progress(&format!("dispatch, {row}: p50 {:.2} ms", values[0].1));
            report.add(Section::Dispatch, &row, values);
        }
    }
    Ok(())
}

/// From creation to the first code of the user, of runs that come one by one.
#[expect(clippy::cast_precision_loss, reason = "far below where digits are lost")]
pub(crate) async fn calm(site: &mut Site, plan: &Plan) -> anyhow::Result<Values> {
    site.measure(Work { seconds: 1.0, ..CALM }).await?;
    let work = Work { seconds: f64::from(plan.seconds()), ..CALM };
    let started = site.measure(work).await?.sight.started;
    Ok(vec![
        ("p50 ms", started.p50 / 1_000.0),
        ("p90 ms", started.p90 / 1_000.0),
        ("p99 ms", started.p99 / 1_000.0),
        ("most ms", started.most / 1_000.0),
        ("runs", started.count as f64),
    ])
}

/// Until a worker has the run, whoever else is waiting.
async fn by_hand(
    situation: &Situation,
    sides: &[System; 2],
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    for round in 0..plan.rounds() {
        for place in order(round) {
            let starts = situation.measure(&sides[place], STARTS).await?;
            let values = started(&starts);
            let row = format!("{}, {}", NAMES[place], situation.name);
            progress(&format!("dispatch, {row}: p50 {:.2} ms", values[0].1));
            report.add(Section::Dispatch, &row, values);
        }
    }
    Ok(())
}

fn started(starts: &[Start]) -> Values {
    let took = Sample::of_times(starts.iter().map(|start| start.took));
    let passed = Sample::of(starts.iter().map(|start| float(start.passed)));
    vec![
        ("p50 ms", took.percentile(50)),
        ("p90 ms", took.percentile(90)),
        ("p99 ms", took.percentile(99)),
        ("most ms", took.most()),
        // Runs of the crowd that were leased between its creation and its lease.
        ("passed by, p99", passed.percentile(99)),
    ]
}

/// Neither is always the first.
fn order(round: u32) -> [usize; 2] {
    if round.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}

/// Checks that nothing is lost: what has not succeeded is still queued, or was being executed when
/// its worker was stopped.
async fn check(database: &mut Database) -> anyhow::Result<()> {
    let queued = "SELECT count(*) FROM run_ready JOIN runs USING (tenant_id, run_id)
                  WHERE state = 'queued' AND runs.ready_at = run_ready.ready_at";
    let queued = database.count(queued).await?;
    let running = database.count("SELECT count(*) FROM runs WHERE state = 'running'").await?;
    let ended = database.count("SELECT count(*) FROM runs WHERE state = 'succeeded'").await?;
    let all = database.count("SELECT count(*) FROM runs").await?;
    let left = format!("{queued} queued, {running} running, {ended} succeeded");
    progress(&format!("{}: at the end {left}", database.side));
    ensure!(queued + running + ended == all, "{all} runs were created, and there are {left}");
    Ok(())
}
