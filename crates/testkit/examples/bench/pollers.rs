//! Idle workers: what it costs that so many wait for something to do.

use std::sync::Arc;
use std::time::Duration;

use tenure_testkit::app;
use tokio::task::JoinSet;

use crate::child;
use crate::crowd::hand::Hand;
use crate::dispatch;
use crate::options::{self, Plan, Section};
use crate::report::{Report, Values, progress};
use crate::seen::Seen;
use crate::site::Stage;
use crate::system::{ONE, UNTENDED};
use crate::task::Task;

/// How many there are, over how many connections.
const FLEETS: [(u32, u32); 4] = [(1, 1), (1_000, 10), (5_000, 10), (5_000, 5_000)];
/// How long they may take to get in line.
const LINE: Duration = Duration::from_secs(3);
/// How often a worker that is waiting asks again: what is measured has to last for whole ones.
const POLL: Duration = Duration::from_secs(30);

/// Measures each fleet on a control plane of its own.
pub(crate) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let period = if plan.quick { POLL } else { POLL * 2 };
    for (pollers, connections) in FLEETS {
        for round in 1..=plan.rounds() {
            let row = format!("{pollers} over {connections}");
            let values = fleet(stage, plan, (pollers, connections), period).await?;
            let (cpu, memory) = (values[0].1, values[2].1);
            progress(&format!(
                "pollers, round {round}, {row}: {cpu:.1} ms/s, {memory:.1} KiB each"
            ));
            report.add(Section::Pollers, &row, values);
        }
    }
    Ok(())
}

async fn fleet(
    stage: &mut Stage,
    plan: &Plan,
    (pollers, connections): (u32, u32),
    period: Duration,
) -> anyhow::Result<Values> {
    let system = stage.system("pollers", UNTENDED).await?;
    let mut role = child::role("idle-workers")?;
    role.args(["--url", &system.url(), "--connections", &connections.to_string()]);
    let mut site = stage.site_with(system, role).await?;
    // The first one, so that what each process has at once is not counted.
    site.add_pollers(1).await?;
    dispatch::calm(&mut site, plan).await?;
    let before = site.resident()?;
    site.add_pollers(pollers - 1).await?;
    tokio::time::sleep(LINE).await;
    let after = site.resident()?;
    let usage = site.rest(period).await?;
    let dispatched = dispatch::calm(&mut site, plan).await?;
    site.stop().await?;
    let used = |time: Duration| time.as_secs_f64() * 1_000.0 / period.as_secs_f64();
    let each = |before: f64, after: f64| (after - before) / f64::from(pollers);
    let mut values = vec![
        ("plane ms/s", used(usage.control_plane)),
        ("PG ms/s", used(usage.postgres)),
        ("KiB each", each(before.0, after.0)),
        ("plane MiB", after.0 / 1_024.0),
        ("pollers' own KiB each", each(before.1, after.1)),
    ];
    values.extend(dispatched.into_iter().take(3));
    Ok(values)
}

/// Is as many of them as it is told: asked for what they have seen, it tells; given a number, it has
/// so many more.
pub(crate) async fn poll(options: options::Pollers) -> anyhow::Result<()> {
    let seen = Arc::new(Seen::new());
    let connections: Vec<_> =
        (0..options.connections.max(1)).map(|_| app::client(&options.url)).collect();
    let mut connections = connections.into_iter().cycle();
    let mut polling = JoinSet::new();
    child::answer(async |more: Option<u32>| {
        for client in connections.by_ref().take(usize::try_from(more.unwrap_or_default())?) {
            polling.spawn(one(Hand::over(client, &[ONE]), seen.clone()));
        }
        Ok(seen.take())
    })
    .await
}

async fn one(hand: Hand, seen: Arc<Seen>) -> anyhow::Result<()> {
    loop {
        for run in hand.poll(1).await? {
            let input = run.input.clone().unwrap_or_default();
            let task: Task = serde_json::from_slice(&input.data)?;
            seen.started(&task);
            hand.finish(&run).await?;
        }
    }
}
