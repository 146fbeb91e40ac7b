//! Replay: how long a worker that has never seen a run takes until it does something new in it, by
//! how long its journal is.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tenure_sdk::{Client, v1};
use tenure_testkit::app;
use tenure_testkit::figures::float;
use tenure_testkit::processor;
use tokio::time::{interval, timeout};

use crate::crowd::hand::json;
use crate::options::{Plan, Section};
use crate::report::{Report, Values, progress};
use crate::site::{Site, Stage};
use crate::system::ONE;
use crate::task::{AGENT, Task, now};
use crate::throughput::BYTES;

/// Lengths of journals, and how many runs have each. The last is as long as one may be, less what a
/// run needs to end.
const JOURNALS: [(u32, usize); 4] = [(1, 60), (100, 60), (10_000, 10), (99_900, 3)];
/// How long a run may take to get anywhere.
const LOST: Duration = Duration::from_mins(2);

/// Measures each length, with a worker that is new.
pub(crate) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let journals = if plan.quick { &JOURNALS[..3] } else { &JOURNALS[..] };
    for round in 1..=plan.rounds() {
        let mut shortest = None;
        for &(entries, runs) in journals {
            let (micros, memory) = once(stage, entries, runs).await?;
            let base: f64 = *shortest.get_or_insert(micros);
            let values = values(entries, micros, base, memory);
            progress(&format!("replay, round {round}, {entries} entries: {micros:.0} µs"));
            report.add(Section::Replay, &format!("{entries} entries"), values);
        }
    }
    Ok(())
}

/// What a new worker takes until the first new step, in microseconds, and by how many KiB it grows.
async fn once(stage: &mut Stage, entries: u32, runs: usize) -> anyhow::Result<(f64, f64)> {
    let mut first = stage.product("replay").await?;
    // It publishes the agent before it answers.
    first.sight().await?;
    let client = app::client(&first.url);
    for _ in 0..runs {
        create(&client, &Task::parking(entries, BYTES)).await?;
    }
    let questions = questions(&client, runs).await?;
    // Its worker goes, and with it all that it knows of the runs.
    let system = first.into_system()?;
    let mut site = stage.site(system, &[]).await?;
    let before = resident(&mut site).await?;
    for (run, question) in &questions {
        answer(&client, question).await?;
        ended(&client, run).await?;
    }
    let resumed = site.sight().await?.resumed;
    ensure!(resumed.count == runs as u64, "{} of {runs} runs went on", resumed.count);
    let after = processor::peak(site.worker()?)?;
    site.stop().await?;
    Ok((resumed.p50, kib(after.saturating_sub(before))))
}

/// A journal of one entry says what all the rest takes.
fn values(entries: u32, micros: f64, base: f64, memory: f64) -> Values {
    let each = |more: f64| if entries > 1 { more / f64::from(entries - 1) } else { 0.0 };
    vec![
        ("to the first new step ms", micros / 1_000.0),
        ("µs an entry", each(micros - base)),
        ("worker grows MiB", memory / 1_024.0),
        ("bytes an entry", each(memory * 1_024.0)),
    ]
}

/// What a worker occupies that has not done anything.
async fn resident(site: &mut Site) -> anyhow::Result<u64> {
    site.sight().await?;
    processor::resident(site.worker()?)
}

fn kib(kib: u64) -> f64 {
    usize::try_from(kib).map_or(f64::INFINITY, float)
}

async fn create(client: &Client, task: &Task) -> anyhow::Result<String> {
    let request = v1::CreateRunRequest {
        tenant: ONE.into(),
        agent: AGENT.into(),
        input: Some(json(serde_json::to_string(task)?)),
        ..v1::CreateRunRequest::default()
    };
    Ok(client.runs().create_run(request).await?.into_inner().id)
}

/// The runs, as soon as all of them ask, and their questions.
async fn questions(client: &Client, runs: usize) -> anyhow::Result<Vec<(String, String)>> {
    let ask = async {
        let mut again = interval(Duration::from_millis(200));
        loop {
            again.tick().await;
            let open = v1::ListInterruptsRequest { tenant: ONE.into(), ..Default::default() };
            let open = client.inbox().list_interrupts(open).await?.into_inner().interrupts;
            if open.len() >= runs {
                return Ok(open.into_iter().map(|open| (open.run, open.id)).collect());
            }
        }
    };
    timeout(LOST, ask).await.with_context(|| format!("{runs} runs did not park"))?
}

/// Answers with what time it is.
async fn answer(client: &Client, interrupt: &str) -> anyhow::Result<()> {
    let answer = v1::Answer {
        decision: v1::Decision::Approve.into(),
        reason: now().to_string(),
        actor: AGENT.into(),
        ..v1::Answer::default()
    };
    let request = v1::ResolveInterruptRequest {
        tenant: ONE.into(),
        interrupt: interrupt.to_owned(),
        answer: Some(answer),
    };
    client.inbox().resolve_interrupt(request).await?;
    Ok(())
}

async fn ended(client: &Client, run: &str) -> anyhow::Result<()> {
    let wait = Some(Duration::from_secs(50).into());
    let request = v1::GetRunRequest { tenant: ONE.into(), run: run.to_owned(), wait };
    let run = client.runs().get_run(request).await?.into_inner();
    ensure!(run.state() == v1::RunState::Succeeded, "{} is {}", run.id, run.state().as_str_name());
    Ok(())
}
