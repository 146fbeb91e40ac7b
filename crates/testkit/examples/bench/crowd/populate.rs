//! Crowds: parked through the API, or made by it once and then copied.

use anyhow::{Context as _, ensure};
use tenure_sdk::v1::LeasedRun;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::crowd::crew::{Crew, each};
use crate::crowd::hand::Rest;
use crate::report::progress;
use crate::system::{CROWD, ONE, System, create};
use tenure_testkit::databases::Database;

/// Workers that park, and how many runs each takes at a time.
const HANDS: usize = 8;
const CAPACITY: u32 = 64;
/// Requests that are under way at a time.
const AT_ONCE: usize = 128;

/// A run that was parked through the API.
pub(crate) struct Parked {
    /// The number that it was created with.
    pub(crate) number: usize,
    /// Its id.
    pub(crate) run: String,
    /// The id of its question, if it asks one.
    pub(crate) question: Option<String>,
}

/// Creates runs of the crowd and parks them; they are answered in the order of their numbers.
pub(crate) async fn park(
    system: &System,
    count: usize,
    rest: impl Fn(usize) -> Rest,
) -> anyhow::Result<Vec<Parked>> {
    let began = Instant::now();
    let creating = async {
        let client = &system.client;
        let create = |number| {
            let client = client.clone();
            async move { create(&client, CROWD, number, 0).await }
        };
        each(0..count, AT_ONCE, create).await
    };
    let mut crew = Crew::start(&system.hands(HANDS, &[CROWD])?, CAPACITY);
    let (_, mut parked) = tokio::try_join!(creating, park_created(&mut crew, count, rest))?;
    parked.sort_unstable_by_key(|parked| parked.number);
    let seconds = began.elapsed().as_secs();
    let side = system.side();
    progress(&format!("{side}: {count} runs were parked through the API in {seconds} s"));
    Ok(parked)
}

async fn park_created(
    crew: &mut Crew,
    count: usize,
    rest: impl Fn(usize) -> Rest,
) -> anyhow::Result<Vec<Parked>> {
    let (mut parking, mut parked) = (JoinSet::new(), Vec::with_capacity(count));
    for _ in 0..count {
        let arrived = crew.next().await?;
        let number = number(&arrived.run)?;
        let rest = rest(number);
        if parking.len() >= AT_ONCE
            && let Some(done) = parking.join_next().await
        {
            parked.push(done??);
        }
        parking.spawn(async move {
            let question = arrived.hand.park(&arrived.run, rest).await?;
            anyhow::Ok(Parked { number, run: arrived.run.run, question })
        });
    }
    while let Some(done) = parking.join_next().await {
        parked.push(done??);
    }
    Ok(parked)
}

/// The number that a run was created with.
pub(crate) fn number(run: &LeasedRun) -> anyhow::Result<usize> {
    let input = run.input.as_ref().context("a run has no input")?;
    Ok(serde_json::from_slice(&input.data)?)
}

/// Copies all runs of a database, which were made through the API and are queued, asleep or asking,
/// until there are so many more. The copies have ids of their own and are due a microsecond one after the
/// other; in all else they are what they were copied from.
pub(crate) async fn copy(database: &mut Database, count: usize) -> anyhow::Result<()> {
    let began = Instant::now();
    let others = database.count("SELECT count(*) FROM interrupts WHERE state <> 'open'").await?
        + database
            .count("SELECT count(*) FROM runs WHERE ready_at IS NULL AND interrupts = 0")
            .await?;
    ensure!(others == 0, "only runs that are queued, asleep or asking can be copied");
    let originals = "
        SELECT tenant_id, run_id, row_number() OVER (ORDER BY run_id) - 1 AS place,
               count(*) OVER () AS places
        FROM runs";
    // The id is a UUID of version 7, as the product makes them.
    database
        .execute(format!(
            "CREATE TEMP TABLE copies AS
             SELECT number, tenant_id, run_id AS source, (
                 lpad(to_hex((extract(epoch FROM tenure_now()) * 1000)::bigint), 12, '0')
                 || '7' || substr(md5(random()::text), 1, 3)
                 || '8' || substr(md5(random()::text), 1, 15))::uuid AS run_id
             FROM generate_series(1, {count}) AS number
             JOIN ({originals}) AS original ON place = number % places;
             ANALYZE copies"
        ))
        .await?;
    let due = ", 'ready_at', original.ready_at + number * interval '1 microsecond'";
    let asked = ", 'interrupt_id', md5(copies.run_id::text)";
    for (table, also) in [
        ("runs", due),
        ("run_ready", due),
        ("run_inputs", ""),
        ("journal", ""),
        ("interrupts", asked),
    ] {
        database
            .execute(format!(
                "INSERT INTO {table}
                 SELECT copy.* FROM copies JOIN {table} AS original
                      ON original.tenant_id = copies.tenant_id AND original.run_id = copies.source
                 CROSS JOIN LATERAL jsonb_populate_record(original,
                      jsonb_build_object('run_id', copies.run_id{also})) AS copy"
            ))
            .await?;
    }
    database.execute("DROP TABLE copies".to_owned()).await?;
    let (side, seconds) = (&database.side, began.elapsed().as_secs());
    progress(&format!("{side}: {count} runs were copied from those in {seconds} s"));
    Ok(())
}

/// Has the other tenant's runs seen once, so that nothing is done for the first time later.
pub(crate) async fn warm_up(system: &System) -> anyhow::Result<()> {
    let mut crew = Crew::start(&system.hands(1, &[ONE])?, 1);
    for number in 0..20 {
        system.create(ONE, number, 0).await?;
        let arrived = crew.next().await?;
        arrived.hand.finish(&arrived.run).await?;
    }
    Ok(())
}
