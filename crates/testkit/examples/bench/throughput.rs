//! Throughput: runs of several lengths, many at once, beside the bare reference.

use std::time::Duration;

use crate::load::Work;
use crate::options::{Plan, Section};
use crate::report::{Report, Values};
use crate::site::{Measured, Site, Stage};

/// Bytes that each step gives.
pub(crate) const BYTES: usize = 256;
/// Load that does not count, before load that does.
const WARM_UP: f64 = 1.0;

/// Measures all combinations.
pub(crate) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut sides = [stage.product("tenure").await?, stage.floor("floor").await?];
    for round in 0..plan.rounds() {
        for &concurrency in &plan.concurrency {
            for &steps in plan.steps() {
                let seconds = f64::from(plan.seconds());
                let work = Work { concurrency, steps, bytes: BYTES, seconds, rate: None };
                both(&mut sides, work, round, report).await?;
            }
        }
    }
    Ok(())
}

/// One directly after the other; neither is always the first.
async fn both(
    sides: &mut [Site; 2],
    work: Work,
    round: u32,
    report: &mut Report,
) -> anyhow::Result<()> {
    let order = if round.is_multiple_of(2) { [0, 1] } else { [1, 0] };
    for place in order {
        let side = &mut sides[place];
        side.measure(Work { seconds: WARM_UP, ..work }).await?;
        let measured = side.measure(work).await?;
        let row = row(&side.name, work);
        let values = values(&measured, work);
        crate::report::progress(&format!("round {}, {row}: {}", round + 1, line(&values)));
        report.add(Section::Throughput, &row, values);
    }
    Ok(())
}

/// What a row is called.
pub(crate) fn row(side: &str, work: Work) -> String {
    format!("{side}, {} × {} steps", work.concurrency, work.steps)
}

#[expect(clippy::cast_precision_loss, reason = "far below where digits are lost")]
fn values(measured: &Measured, work: Work) -> Values {
    let (done, sight, usage) = (measured.done, measured.sight, measured.usage);
    let runs = done.runs.count as f64;
    let steps = runs * f64::from(work.steps);
    let each = |time: Duration| time.as_secs_f64() * 1_000_000.0 / steps;
    vec![
        ("runs/s", runs / done.seconds),
        ("steps/s", steps / done.seconds),
        ("run p50 ms", done.runs.p50 / 1_000.0),
        ("run p99 ms", done.runs.p99 / 1_000.0),
        ("step p50 ms", sight.steps.p50 / 1_000.0),
        ("step p99 ms", sight.steps.p99 / 1_000.0),
        ("plane µs", each(usage.control_plane)),
        ("PG µs", each(usage.postgres)),
        ("worker µs", each(usage.worker)),
        ("load µs", each(usage.load)),
        ("other cores", usage.others.as_secs_f64() / measured.time.as_secs_f64()),
    ]
}

fn line(values: &Values) -> String {
    format!("{:.0} steps/s", values[1].1)
}
