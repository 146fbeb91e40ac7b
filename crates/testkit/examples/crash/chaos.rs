//! Who is killed, and when.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::log::{Event, Log};
use crate::processes::{ControlPlane, LEASE_TTL, Workers};
use crate::runs::Runs;

/// A worker is killed so often.
const PERIOD: Duration = Duration::from_millis(300);
/// The control plane is killed when so much of the runs has ended…
const CONTROL_PLANE: [(usize, usize); CONTROL_PLANE_KILLS] = [(1, 5), (2, 5), (3, 5)];
/// …so three times…
pub(crate) const CONTROL_PLANE_KILLS: usize = 3;
/// …and workers until that much has.
const MOST: (usize, usize) = (9, 10);
/// How long that may take for each run: the bound of the test's time.
const PATIENCE: Duration = Duration::from_millis(500);

/// How much was killed so far.
#[derive(Default)]
pub(crate) struct Kills {
    pub(crate) workers: AtomicUsize,
    pub(crate) control_plane: AtomicUsize,
}

/// Kills until most of the runs have ended, however often they were interrupted.
pub(crate) async fn reign(
    control_plane: &mut ControlPlane,
    workers: &mut Workers,
    runs: &Runs,
    log: &Log,
    kills: &Kills,
    seed: u64,
) -> anyhow::Result<()> {
    let done = CancellationToken::new();
    let chaos = async {
        tokio::try_join!(
            kill_control_plane(control_plane, runs, log, kills, &done),
            kill_workers(workers, log, kills, seed, &done),
        )
    };
    let patience = Duration::from_secs(20) + PATIENCE * u32::try_from(runs.wanted)?;
    timeout(patience, chaos).await.with_context(|| {
        format!("after {patience:?} of kills only {} runs have ended", runs.ended())
    })??;
    Ok(())
}

async fn kill_control_plane(
    control_plane: &mut ControlPlane,
    runs: &Runs,
    log: &Log,
    kills: &Kills,
    done: &CancellationToken,
) -> anyhow::Result<()> {
    for share in CONTROL_PLANE {
        runs.until_ended(part(runs.wanted, share)).await;
        log.write(&Event::OutageBegins)?;
        control_plane.crash().await?;
        kills.control_plane.fetch_add(1, Ordering::Relaxed);
        // What ran out while it was away is taken over within this time.
        sleep(LEASE_TTL).await;
        log.write(&Event::OutageEnds)?;
    }
    runs.until_ended(part(runs.wanted, MOST)).await;
    done.cancel();
    Ok(())
}

async fn kill_workers(
    workers: &mut Workers,
    log: &Log,
    kills: &Kills,
    seed: u64,
    done: &CancellationToken,
) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    while !done.is_cancelled() {
        ticks.tick().await;
        // Logged when it is dead: nothing of it can come after that line.
        let dead = workers.crash(&mut random).await?;
        log.write(&Event::WorkerKilled(dead))?;
        kills.workers.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn part(of: usize, (numerator, denominator): (usize, usize)) -> usize {
    of * numerator / denominator
}
