//! A tenant with a long queue beside one with a single run: how fast that run starts.

use std::path::Path;

use anyhow::ensure;

use crate::plans;
use crate::populate;
use crate::situation::{SITUATIONS, Situation, Start};
use crate::system::{CROWD, System};
use tenure_testkit::databases::{Database, Server};
use tenure_testkit::figures::{Sample, float, judge};
use tenure_testkit::processor;

/// Rounds, and runs that are started on each side in each of them.
const ROUNDS: usize = 5;
const STARTS: usize = 50;
/// Runs that are made through the API and then copied.
const ORIGINALS: usize = 20;
/// A start may take so many times as long.
const BOUND: f64 = 2.0;

/// Measures with so many runs queued.
pub(crate) async fn measure(server: &mut Server, logs: &Path, runs: u32) -> anyhow::Result<()> {
    let many = usize::try_from(runs)?;
    println!("queued: one run beside {many} of another tenant (load {})", processor::load());
    let empty = server.database("empty system".to_owned()).await?;
    let crowd = server.database(format!("{many} queued")).await?;
    let mut sides = [System::start(empty, logs).await?, System::start(crowd, logs).await?];
    fill(&mut sides[1], many).await?;
    for side in &mut sides {
        populate::warm_up(side).await?;
        side.database.settle().await?;
    }
    for situation in &SITUATIONS {
        compare(situation, &sides).await?;
    }
    for side in &mut sides {
        check(&mut side.database).await?;
    }
    for side in sides {
        let mut database = side.stop().await?;
        database.settle().await?;
        plans::print(&mut database).await?;
    }
    Ok(())
}

async fn fill(system: &mut System, count: usize) -> anyhow::Result<()> {
    for number in 0..ORIGINALS {
        system.create(CROWD, number, 0).await?;
    }
    populate::copy(&mut system.database, count - ORIGINALS).await
}

async fn compare(situation: &Situation, sides: &[System; 2]) -> anyhow::Result<()> {
    let mut starts: [Vec<Start>; 2] = Default::default();
    for round in 0..ROUNDS {
        // Neither is always the first.
        for place in [round % 2, 1 - round % 2] {
            starts[place].extend(situation.measure(&sides[place], STARTS).await?);
        }
    }
    println!("  {}; ms from before its creation until a worker has it:", situation.name);
    let took =
        starts.each_ref().map(|starts| Sample::of_times(starts.iter().map(|start| start.took)));
    for (system, took) in sides.iter().zip(&took) {
        println!("    {}: {}", system.side(), took.tail());
    }
    let passed = Sample::of(starts[1].iter().map(|start| float(start.passed)));
    if passed.most() > 0.0 {
        println!("    runs of the crowd that were leased meanwhile: {}", passed.tail());
    }
    for percent in [50, 99] {
        let ratio = took[1].percentile(percent) / took[0].percentile(percent);
        match situation.turns {
            None => judge(&format!("p{percent} beside the crowd"), ratio, BOUND, "times as long"),
            Some(_) => println!("    p{percent}: {ratio:.2} times as long"),
        }
    }
    if let Some(turns) = situation.turns {
        let before = passed.percentile(99);
        judge("p99 of those before it", before, float(turns), "runs of the crowd");
    }
    Ok(())
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
    println!("  {}: at the end {left}", database.side);
    ensure!(queued + running + ended == all, "{all} runs were created, and there are {left}");
    Ok(())
}
