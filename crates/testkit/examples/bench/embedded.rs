//! What `tenure dev` has: a control plane on SQLite, in a file, and a worker, each a process.

use crate::dispatch;
use crate::limit::latency;
use crate::load::Work;
use crate::options::{Plan, Section};
use crate::report::{Report, Values, progress};
use crate::site::{Site, Stage};
use crate::steps::ALONE;

/// Runs that somebody waits for.
const SHORT: Work = Work { steps: 3, ..ALONE };
/// Many runs at once.
const MANY: Work = Work { concurrency: 64, steps: 10, ..ALONE };

/// Measures runs alone, many at once, and single ones.
pub(crate) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut site = stage.embedded("embedded").await?;
    let seconds = f64::from(plan.seconds()) / 2.0;
    for round in 1..=plan.rounds() {
        let rows: [(&str, Values); 4] = [
            ("a run of 3 steps", run(&mut site, seconds).await?),
            ("a step, one run at a time", step(&mut site, seconds).await?),
            ("64 × 10 steps", many(&mut site, seconds).await?),
            ("first user code", dispatch::calm(&mut site, plan).await?),
        ];
        for (row, values) in rows {
            let (name, value) = values[0];
            progress(&format!("embedded, round {round}, {row}: {name} {value:.2}"));
            report.add(Section::Embedded, row, values);
        }
    }
    Ok(())
}

/// From its creation to its end.
async fn run(site: &mut Site, seconds: f64) -> anyhow::Result<Values> {
    site.measure(SHORT).await?;
    Ok(latency(&site.measure(Work { seconds, ..SHORT }).await?.done.runs))
}

async fn step(site: &mut Site, seconds: f64) -> anyhow::Result<Values> {
    Ok(latency(&site.measure(Work { seconds, ..ALONE }).await?.sight.steps))
}

#[expect(clippy::cast_precision_loss, reason = "far below where digits are lost")]
async fn many(site: &mut Site, seconds: f64) -> anyhow::Result<Values> {
    site.measure(MANY).await?;
    let measured = site.measure(Work { seconds, ..MANY }).await?;
    let runs = measured.done.runs.count as f64;
    let steps = runs * f64::from(MANY.steps);
    let each = measured.usage.control_plane.as_secs_f64() * 1_000_000.0 / steps;
    Ok(vec![
        ("steps/s", steps / measured.done.seconds),
        ("run p50 ms", measured.done.runs.p50 / 1_000.0),
        ("step p50 ms", measured.sight.steps.p50 / 1_000.0),
        ("plane µs", each),
    ])
}
