//! Idle load: what a system costs in which nothing happens, but for workers that wait.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::crew::Crew;
use crate::system::{CROWD, ONE, System};
use tenure_testkit::databases::{Counted, Database, Server};
use tenure_testkit::figures::{Sample, judge};
use tenure_testkit::processor;

/// How often each side is looked at, and how long.
const ROUNDS: usize = 5;
const PERIOD: Duration = Duration::from_secs(30);
/// How long a control plane runs before: its first statements are prepared, and more.
const WARM_UP: Duration = Duration::from_secs(5);
/// Workers that wait.
const HANDS: usize = 4;
/// Processor time that does not count as measurable, in a thousandth of a core, where the rounds of
/// one side differ by less.
const RESOLUTION: f64 = 2.0;

/// What a second costs.
#[derive(Clone, Copy)]
struct Load {
    /// Processor time in milliseconds: a thousandth of a core.
    control_plane: f64,
    postgres: f64,
    transactions: f64,
    rows: f64,
    blocks: f64,
    /// MiB that the control plane occupies.
    memory: f64,
}

/// Measures these sides in turn, the first of which is the one without a crowd, and the last the one
/// with it. One control plane runs at a time.
pub(crate) async fn measure(
    server: &mut Server,
    logs: &Path,
    mut sides: Vec<Database>,
) -> anyhow::Result<()> {
    let mut loads: Vec<Vec<Load>> = sides.iter().map(|_| Vec::new()).collect();
    for side in &mut sides {
        side.settle().await?;
    }
    for _ in 0..ROUNDS {
        for loads in &mut loads {
            // They come back in the same order.
            let side = sides.remove(0);
            let system = System::start(side, logs).await?;
            loads.push(once(server, &system).await?);
            sides.push(system.stop().await?);
        }
    }
    println!(
        "  idle, {ROUNDS} times {} s each, median (least to most) a second:",
        PERIOD.as_secs()
    );
    for (side, loads) in sides.iter().zip(&loads) {
        print(&side.side, loads);
    }
    if let (Some(none), Some(crowd)) = (loads.first(), loads.last()) {
        compare(none, crowd);
    }
    Ok(())
}

async fn once(server: &mut Server, system: &System) -> anyhow::Result<Load> {
    let mut crew = Crew::start(&system.hands(HANDS, &[CROWD, ONE])?, 1);
    tokio::time::sleep(WARM_UP).await;
    let (postmaster, control_plane) = (server.postmaster().await?, system.pid()?);
    let counted_before = server.counted(&system.database).await?;
    let before = (processor::of_process(control_plane)?, processor::of_family(postmaster)?);
    let began = Instant::now();
    tokio::time::sleep(PERIOD).await;
    let after = (processor::of_process(control_plane)?, processor::of_family(postmaster)?);
    let seconds = began.elapsed().as_secs_f64();
    let counted_after = server.counted(&system.database).await?;
    crew.is_idle()?;
    let used = |before: Duration, after: Duration| {
        after.saturating_sub(before).as_secs_f64() * 1_000.0 / seconds
    };
    let counted = |of: fn(&Counted) -> i64| {
        let more = of(&counted_after) - of(&counted_before);
        u32::try_from(more).map_or(f64::INFINITY, f64::from) / seconds
    };
    Ok(Load {
        control_plane: used(before.0, after.0),
        postgres: used(before.1, after.1),
        transactions: counted(|counted| counted.transactions),
        rows: counted(|counted| counted.rows),
        blocks: counted(|counted| counted.blocks),
        memory: f64::from(u32::try_from(processor::memory(control_plane)?)?),
    })
}

fn sample(loads: &[Load], of: fn(&Load) -> f64) -> Sample {
    Sample::of(loads.iter().map(of))
}

fn print(side: &str, loads: &[Load]) {
    let control_plane = sample(loads, |load| load.control_plane);
    let postgres = sample(loads, |load| load.postgres);
    let transactions = sample(loads, |load| load.transactions);
    let rows = sample(loads, |load| load.rows);
    let blocks = sample(loads, |load| load.blocks);
    let memory = sample(loads, |load| load.memory);
    println!("    {side}:");
    println!("      processor: control plane {control_plane} ms, PostgreSQL {postgres} ms");
    println!("      PostgreSQL: {transactions} transactions, {rows} rows read, {blocks} blocks");
    println!("      memory of the control plane: {memory} MiB");
}

/// A difference is measurable if it is larger than those between rounds of one side.
fn compare(none: &[Load], crowd: &[Load]) {
    let [none, crowd] =
        [none, crowd].map(|loads| sample(loads, |load| load.control_plane + load.postgres));
    let noise = none.spread().max(crowd.spread()).max(RESOLUTION);
    let more = crowd.median() - none.median();
    judge("idle load of the crowd", more, (noise * 10.0).round() / 10.0, "ms a second");
}
