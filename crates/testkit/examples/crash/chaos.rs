//! Which faults there are, and when.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::fault::Dealer;
use crate::log::Event;
use crate::runs::Runs;
use crate::site::Site;

/// A worker is killed so often.
const KILLS: Duration = Duration::from_millis(350);
/// After so many kills there is one more fault, of the kinds in turn.
const BETWEEN: u32 = 2;
/// After so long there is a calm, in which runs must get on…
const STORM: Duration = Duration::from_secs(25);
/// …and which lasts so long.
const CALM: Duration = Duration::from_secs(6);
/// The share of a given number of runs that must have ended before the faults do.
const MOST: (usize, usize) = (9, 10);
/// How long that may take for each run, and before the first: the bound of the test's time.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(600), Duration::from_secs(40));

/// When there are no more faults.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// This moment has come.
    Passed(Instant),
    /// Most of so many runs have ended, however often their workers were killed, and there was each
    /// kind of fault, once.
    Ended(usize),
}

/// Faults, until it is enough. There is none left when this returns.
pub(crate) async fn reign(
    site: &Arc<Site>,
    runs: &Runs,
    dealer: Dealer,
    until: Until,
) -> anyhow::Result<()> {
    let mut chaos = Chaos { site, dealer, faults: JoinSet::new() };
    let began = Instant::now();
    let mut storm = Instant::now();
    let mut ticks = interval(KILLS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    for tick in 1_u32.. {
        ticks.tick().await;
        if over(until, began, runs, &chaos.dealer)? {
            break;
        }
        chaos.kill_worker().await?;
        let enough = matches!(until, Until::Ended(_)) && chaos.dealer.round();
        if tick.is_multiple_of(BETWEEN) && !enough {
            chaos.begin()?;
        }
        if storm.elapsed() > STORM {
            chaos.calm().await?;
            storm = Instant::now();
        }
    }
    chaos.heal().await
}

struct Chaos<'a> {
    site: &'a Arc<Site>,
    dealer: Dealer,
    /// Those that go on.
    faults: JoinSet<anyhow::Result<()>>,
}

impl Chaos<'_> {
    async fn kill_worker(&mut self) -> anyhow::Result<()> {
        self.site.kill_worker(self.dealer.worker()).await
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let (site, fault) = (self.site.clone(), self.dealer.deal());
        self.faults.spawn(async move { site.suffer(fault).await });
        while let Some(ended) = self.faults.try_join_next() {
            ended??;
        }
        Ok(())
    }

    /// Waits for the end of the faults that there are.
    async fn heal(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.faults.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn calm(&mut self) -> anyhow::Result<()> {
        self.heal().await?;
        self.site.write(Event::CalmBegins)?;
        sleep(CALM).await;
        self.site.write(Event::CalmEnds)
    }
}

fn over(until: Until, began: Instant, runs: &Runs, dealer: &Dealer) -> anyhow::Result<bool> {
    let wanted = match until {
        Until::Passed(moment) => return Ok(Instant::now() >= moment),
        Until::Ended(wanted) => wanted,
    };
    let (each, first) = PATIENCE;
    let patience = first + each * u32::try_from(wanted)?;
    let ended = runs.ended();
    ensure!(
        began.elapsed() < patience,
        "after {patience:?} of faults only {ended} runs have ended"
    );
    Ok(dealer.round() && ended >= wanted * MOST.0 / MOST.1)
}
