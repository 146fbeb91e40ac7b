//! Soak: whether it stays as fast as it was under a load that lasts, and beside a transaction that
//! somebody has left open, which keeps PostgreSQL from cleaning up.

use sqlx::{Connection as _, PgConnection};

use crate::load::Work;
use crate::options::{Plan, Section};
use crate::report::{Report, Values, progress};
use crate::site::{Measured, Site, Stage};
use crate::sizes::Sizes;
use crate::throughput::BYTES;

/// What the maximum is measured with, and how much of it the load then is.
const CLOSED: Work = Work { concurrency: 64, steps: 10, bytes: BYTES, seconds: 20.0, rate: None };
const PART: f64 = 0.7;
/// Load that does not count, before load that does, in seconds.
const WARM_UP: f64 = 10.0;
/// Runs that may be under way at once when it falls behind.
const MOST: usize = 2_048;
/// How long each figure is measured, in seconds.
const MINUTE: f64 = 60.0;
/// The rows, whose rounds are minutes.
pub(crate) const LOAD: &str = "load";
pub(crate) const HELD: &str = "beside an idle transaction";
pub(crate) const AFTER: &str = "after it";
/// How long it is looked at after the idle transaction.
const MINUTES_AFTER: u32 = 3;

/// A system under load.
struct Soak<'a> {
    site: Site,
    work: Work,
    sizes: Sizes,
    report: &'a mut Report,
}

/// Measures for as long as the plan says.
pub(crate) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut site = stage.product("soak").await?;
    let rate = maximum(&mut site).await? * PART;
    progress(&format!("soak: {rate:.0} runs a second, {PART} of the most"));
    let work = Work { concurrency: MOST, seconds: MINUTE, rate: Some(rate), ..CLOSED };
    let sizes = Sizes::of(site.database()?).await?;
    let mut soak = Soak { site, work, sizes, report };
    soak.minutes(LOAD, plan.minutes()).await?;
    if plan.idle_minutes() > 0 {
        let idle = leave_open(&soak.site.database()?.url).await?;
        soak.minutes(HELD, plan.idle_minutes()).await?;
        idle.close().await?;
        soak.minutes(AFTER, MINUTES_AFTER).await?;
    }
    Ok(())
}

/// Runs a second that a closed loop gets.
#[expect(clippy::cast_precision_loss, reason = "far below where digits are lost")]
async fn maximum(site: &mut Site) -> anyhow::Result<f64> {
    site.measure(Work { seconds: WARM_UP, ..CLOSED }).await?;
    let measured = site.measure(CLOSED).await?;
    Ok(measured.done.runs.count as f64 / measured.done.seconds)
}

/// A transaction that has seen something and does nothing more.
async fn leave_open(url: &str) -> anyhow::Result<PgConnection> {
    let mut connection = PgConnection::connect(url).await?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM run_ready LIMIT 1";
    sqlx::raw_sql(begin).execute(&mut connection).await?;
    Ok(connection)
}

impl Soak<'_> {
    async fn minutes(&mut self, name: &str, minutes: u32) -> anyhow::Result<()> {
        for minute in 1..=minutes {
            let measured = self.site.measure(self.work).await?;
            let sizes = Sizes::of(self.site.database()?).await?;
            let mut values = values(&measured, &self.sizes, &sizes);
            values.push(("plane MiB", self.site.resident()?.0 / 1_024.0));
            let line: Vec<_> =
                values.iter().map(|(name, value)| format!("{name} {value:.1}")).collect();
            progress(&format!("soak, {name}, minute {minute}: {}", line.join(", ")));
            self.report.add(Section::Soak, name, values);
            for (table, size) in sizes.tables() {
                self.report.add(Section::Soak, &format!("{name}: table {table}"), size);
            }
            self.sizes = sizes;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below where digits are lost")]
fn values(measured: &Measured, before: &Sizes, after: &Sizes) -> Values {
    let (done, sight, usage) = (measured.done, measured.sight, measured.usage);
    let runs = done.runs.count as f64;
    let seconds = measured.time.as_secs_f64();
    vec![
        ("runs/s", runs / done.seconds),
        ("run p50 ms", done.runs.p50 / 1_000.0),
        ("run p99 ms", done.runs.p99 / 1_000.0),
        ("claim p50 ms", sight.started.p50 / 1_000.0),
        ("claim p99 ms", sight.started.p99 / 1_000.0),
        ("bytes/run", (after.records() - before.records()) / runs),
        ("queues KiB", after.queues() / 1_024.0),
        ("dead in queues", after.dead()),
        ("plane cores", usage.control_plane.as_secs_f64() / seconds),
        ("PG cores", usage.postgres.as_secs_f64() / seconds),
        ("other cores", usage.others.as_secs_f64() / seconds),
    ]
}
