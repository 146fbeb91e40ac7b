//! Parked runs, half of them asleep and half of them asking: what they cost while nothing happens,
//! and whether waking some of them takes longer because of the others.

use std::time::Duration;

use anyhow::ensure;
use tenure_testkit::databases::Database;

use crate::crowd::hand::Rest;
use crate::crowd::populate::{self, Parked};
use crate::crowd::wake::{Wake, Woken};
use crate::crowd::{idle, plans};
use crate::options::{Plan, Section};
use crate::report::{Report, progress};
use crate::site::Stage;
use crate::system::{System, UNTENDED};

/// How many are woken, and how many there are on the side that is compared with.
const WOKEN: usize = 1_000;
/// How many there are on the side between that and the crowd.
const SOME: usize = 10_000;
/// Times that they are woken in each round.
const TIMES: u32 = 3;

/// One side of the comparison.
struct Side {
    name: &'static str,
    system: System,
    woken: Woken,
}

/// Measures with no parked run, with some, and with the crowd.
pub(crate) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let none = stage.system("nothing parked", UNTENDED).await?.stop().await?;
    let mut sides = Vec::new();
    for (name, count) in [("1,000", WOKEN), ("10,000", SOME), ("crowd", plan.crowd()?)] {
        let system = stage.system(&format!("{count} parked"), UNTENDED).await?;
        sides.push(Side::populate(name, system, count).await?);
    }
    for round in 0..=plan.rounds() * TIMES {
        // None is always the first.
        sides.rotate_left(1);
        for side in &mut sides {
            side.wake(round > 0, report).await?;
        }
    }
    let mut databases = vec![("nothing", 0, none)];
    sides.sort_unstable_by_key(|side| side.woken.among);
    for side in sides {
        let mut database = side.system.stop().await?;
        check(&mut database).await?;
        database.settle().await?;
        plans::report(&mut database, Section::Waiting, report).await?;
        if side.woken.among > WOKEN {
            databases.push((side.name, side.woken.among, database));
        }
    }
    rest(stage, plan, report, databases).await
}

/// Looks at systems in which nothing happens, one after the other.
#[expect(clippy::cast_precision_loss, reason = "far below where digits are lost")]
async fn rest(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
    mut databases: Vec<(&'static str, usize, Database)>,
) -> anyhow::Result<()> {
    let period = Duration::from_secs(if plan.quick { 20 } else { 60 });
    for _ in 0..plan.rounds() {
        for _ in 0..databases.len() {
            let (name, count, database) = databases.remove(0);
            progress(&format!("waiting: {} s with {count} parked runs", period.as_secs()));
            let (database, mut values) = idle::measure(stage, database, period).await?;
            values.push(("parked", count as f64));
            report.add(Section::Waiting, &format!("idle, {name} parked"), values);
            databases.push((name, count, database));
        }
    }
    Ok(())
}

impl Side {
    async fn populate(
        name: &'static str,
        mut system: System,
        count: usize,
    ) -> anyhow::Result<Self> {
        // What is copied, and then those that are woken, which all ask.
        let originals = if count > WOKEN { 20 } else { 0 };
        let rest = |number: usize| {
            if number.is_multiple_of(2) { Rest::Question } else { Rest::Timer }
        };
        if originals > 0 {
            populate::park(&system, originals, rest).await?;
            populate::copy(&mut system.database, count - WOKEN - originals).await?;
        }
        let parked = populate::park(&system, WOKEN, |_| Rest::Question).await?;
        system.database.settle().await?;
        let woken = Woken::new(parked.into_iter().collect::<Vec<Parked>>(), count);
        Ok(Self { name, system, woken })
    }

    async fn wake(&mut self, counts: bool, report: &mut Report) -> anyhow::Result<()> {
        let by_answers = self.woken.by_answers(&self.system).await?;
        let by_timers = self.woken.by_timers(&mut self.system).await?;
        for (cause, wake) in [("answers", by_answers), ("timers", by_timers)] {
            let Wake { first, last } = wake;
            let [first, last] = [first, last].map(|time| time.as_secs_f64() * 1_000.0);
            let row = format!("1,000 woken by {cause}, {} parked", self.name);
            progress(&format!("{row}: {last:.0} ms"));
            if counts {
                report.add(Section::Waiting, &row, vec![("first ms", first), ("last ms", last)]);
            }
        }
        Ok(())
    }
}

/// Checks that all runs are parked, and nothing else is left.
async fn check(database: &mut Database) -> anyhow::Result<()> {
    let elsewhere = "SELECT count(*) FROM runs WHERE state <> 'waiting' OR wait_reason <> 'inbox'
                     OR interrupts = 0 AND ready_at IS NULL";
    let elsewhere = database.count(elsewhere).await?;
    ensure!(elsewhere == 0, "{elsewhere} runs are not parked");
    Ok(())
}
