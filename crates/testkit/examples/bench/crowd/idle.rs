//! Idle load: what a system costs in which nothing happens, but for a worker that waits.

use std::time::Duration;

use anyhow::ensure;
use tenure_testkit::databases::{Counted, Database};
use tokio::time::Instant;

use crate::report::Values;
use crate::site::{Site, Stage};
use crate::system::UNTENDED;

/// How long a control plane runs before: its first statements are prepared, and more.
const WARM_UP: Duration = Duration::from_secs(5);

/// What a second costs, for so long. One control plane runs at a time: it is started for this, and
/// stopped afterwards.
pub(crate) async fn measure(
    stage: &mut Stage,
    database: Database,
    period: Duration,
) -> anyhow::Result<(Database, Values)> {
    let system = stage.again(database, UNTENDED).await?;
    let mut site = stage.site(system, &["--crowd"]).await?;
    tokio::time::sleep(WARM_UP).await;
    let values = once(stage, &mut site, period).await?;
    Ok((site.stop().await?, values))
}

async fn once(stage: &mut Stage, site: &mut Site, period: Duration) -> anyhow::Result<Values> {
    let before = stage.server.counted(site.database()?).await?;
    let began = Instant::now();
    let usage = site.rest(period).await?;
    let seconds = began.elapsed().as_secs_f64();
    let after = stage.server.counted(site.database()?).await?;
    let woken = site.sight().await?.started.count;
    ensure!(woken == 0, "{woken} runs woke up by themselves");
    let used = |time: Duration| time.as_secs_f64() * 1_000.0 / seconds;
    let counted = |of: fn(&Counted) -> i64| {
        u32::try_from(of(&after) - of(&before)).map_or(f64::INFINITY, f64::from) / seconds
    };
    let (plane, worker) = site.resident()?;
    Ok(vec![
        ("plane ms/s", used(usage.control_plane)),
        ("PG ms/s", used(usage.postgres)),
        ("both ms/s", used(usage.control_plane + usage.postgres)),
        ("worker ms/s", used(usage.worker)),
        ("transactions/s", counted(|counted| counted.transactions)),
        ("rows/s", counted(|counted| counted.rows)),
        ("blocks/s", counted(|counted| counted.blocks)),
        ("plane MiB", plane / 1_024.0),
        ("worker MiB", worker / 1_024.0),
    ])
}
