//! Parked runs, half of them asleep and half of them asking: what they cost while nothing happens,
//! and whether waking some of them takes longer because of the others.

use std::path::Path;

use anyhow::ensure;

use crate::hand::Rest;
use crate::idle;
use crate::plans;
use crate::populate::{self, Parked};
use crate::system::System;
use crate::wake::{Wake, Woken};
use tenure_testkit::databases::{Database, Server};
use tenure_testkit::figures::{Sample, judge};
use tenure_testkit::processor;

/// How many are woken, and how many there are on the side that is compared with.
const WOKEN: usize = 1_000;
/// How often they are woken, after once that does not count.
const ROUNDS: usize = 9;
/// Waking may take so many times as long.
const BOUND: f64 = 1.5;

/// One side of the comparison.
struct Side {
    system: System,
    woken: Woken,
    by_answers: Vec<Wake>,
    by_timers: Vec<Wake>,
}

/// Measures with so many parked runs.
pub(crate) async fn measure(server: &mut Server, logs: &Path, runs: u32) -> anyhow::Result<()> {
    let many = usize::try_from(runs)?;
    println!(
        "parked: {WOKEN} runs are woken, of {WOKEN} in all and of {many} (load {})",
        processor::load()
    );
    let none = server.database("nothing parked".to_owned()).await?;
    // Its tables are made by a control plane.
    let none = System::start(none, logs).await?.stop().await?;
    let mut sides = Vec::new();
    for count in [WOKEN, many] {
        let database = server.database(format!("{count} parked")).await?;
        sides.push(Side::populate(database, logs, count).await?);
    }
    for round in 0..=ROUNDS {
        // Neither is always the first.
        for place in [round % 2, 1 - round % 2] {
            sides[place].wake(round > 0).await?;
        }
    }
    compare(&sides);
    let mut databases = vec![none];
    for side in sides {
        let mut database = side.system.stop().await?;
        check(&mut database).await?;
        database.settle().await?;
        plans::print(&mut database).await?;
        databases.push(database);
    }
    idle::measure(server, logs, databases).await
}

impl Side {
    async fn populate(database: Database, logs: &Path, count: usize) -> anyhow::Result<Self> {
        let mut system = System::start(database, logs).await?;
        // Those that are woken are spread over all of them.
        let every = count / WOKEN;
        let is_woken = |number: usize| number.is_multiple_of(every) && number / every < WOKEN;
        let asks = |number: usize| is_woken(number) || number.is_multiple_of(2);
        let rest = |number| if asks(number) { Rest::Question } else { Rest::Timer };
        let parked = populate::park(&system, count, rest).await?;
        let woken = parked.into_iter().filter(|parked: &Parked| is_woken(parked.number));
        system.database.settle().await?;
        let (by_answers, by_timers) = (Vec::new(), Vec::new());
        Ok(Self { woken: Woken::new(woken), system, by_answers, by_timers })
    }

    async fn wake(&mut self, counts: bool) -> anyhow::Result<()> {
        let by_answers = self.woken.by_answers(&self.system).await?;
        let by_timers = self.woken.by_timers(&mut self.system).await?;
        if counts {
            self.by_answers.push(by_answers);
            self.by_timers.push(by_timers);
        }
        Ok(())
    }
}

fn compare(sides: &[Side]) {
    compare_by("answers", sides, |side| &side.by_answers);
    compare_by("timers that are due at one moment", sides, |side| &side.by_timers);
}

fn compare_by(cause: &str, sides: &[Side], wakes: impl Fn(&Side) -> &[Wake]) {
    println!("  {WOKEN} runs woken by {cause}, {ROUNDS} times, ms until they were leased:");
    let mut medians = Vec::new();
    for side in sides {
        let first = Sample::of_times(wakes(side).iter().map(|wake| wake.first));
        let last = Sample::of_times(wakes(side).iter().map(|wake| wake.last));
        println!("    {}: the first {first}, the last {last}", side.system.side());
        medians.push(last.median());
    }
    let ratio = medians[1] / medians[0];
    judge(&format!("waking by {cause}, with the crowd"), ratio, BOUND, "times as long");
}

/// Checks that all runs are parked, and nothing else is left.
async fn check(database: &mut Database) -> anyhow::Result<()> {
    let elsewhere = "SELECT count(*) FROM runs WHERE state <> 'waiting' OR wait_reason <> 'inbox'
                     OR interrupts = 0 AND ready_at IS NULL";
    let elsewhere = database.count(elsewhere).await?;
    ensure!(elsewhere == 0, "{elsewhere} runs are not parked");
    Ok(())
}
