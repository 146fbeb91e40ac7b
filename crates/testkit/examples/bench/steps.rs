//! Steps of one run at a time, each beside a bare commit of one row on the same server.

use crate::limit::{self, latency};
use crate::load::Work;
use crate::options::{Plan, Section};
use crate::report::{Report, progress};
use crate::site::Stage;
use crate::throughput::BYTES;

/// One run at a time.
pub(crate) const ALONE: Work =
    Work { concurrency: 1, steps: 100, bytes: BYTES, seconds: 1.0, rate: None };

/// Measures both, one directly after the other.
pub(crate) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut site = stage.product("tenure").await?;
    let bare = limit::postgres(&mut stage.server).await?;
    let seconds = f64::from(plan.seconds()) / 2.0;
    for round in 1..=plan.rounds() {
        site.measure(ALONE).await?;
        let steps = site.measure(Work { seconds, ..ALONE }).await?.sight.steps;
        let commits = bare.commits(1, seconds).await?;
        let (step, commit) = (steps.p50, commits.times.p50);
        progress(&format!("steps, round {round}: {step:.0} µs, a bare commit {commit:.0} µs"));
        report.add(Section::Steps, "a step", latency(&steps));
        report.add(Section::Steps, "a bare commit", commits.latency());
    }
    Ok(())
}
