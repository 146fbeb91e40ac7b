//! A herd: runs that sleep until the same second, and others that want to start meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tenure_core::limits;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::crowd::crew::each;
use crate::crowd::hand::{Hand, Rest};
use crate::crowd::{plans, populate};
use crate::options::{Plan, Section};
use crate::report::{Report, Values, progress};
use crate::site::Stage;
use crate::system::{CROWD, ONE, System, UNTENDED};
use tenure_testkit::databases::Database;
use tenure_testkit::figures::{Sample, float};

/// Workers, and how many runs each takes at a time.
const HANDS: usize = 8;
const CAPACITY: u32 = 64;
/// Runs that are made through the API and then copied.
const ORIGINALS: usize = 20;
/// Others that start before, to compare with, and the pause between two of them.
const BEFORE: usize = 200;
const PAUSE: Duration = Duration::from_millis(20);
/// The highest priority there is.
const URGENT: i32 = 9;
/// The number of all others: none of the herd has it.
const OTHERS: usize = 1_000_000_000;
/// How long the herd may be silent before it counts as lost.
const LOST: Duration = Duration::from_mins(1);

/// A run that is not of the herd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    /// Of another tenant.
    Tenant,
    /// Of the same tenant, with the highest priority.
    Urgent,
}

/// How long each of the others took to start.
type Starts = Vec<(Other, Duration)>;

/// A herd, workers for it, and others that want to start.
struct Field {
    system: System,
    /// When its runs arrived.
    herd: Arc<Mutex<Vec<Instant>>>,
    /// When others did, by their ids.
    others: mpsc::UnboundedReceiver<anyhow::Result<(String, Instant)>>,
    working: JoinSet<()>,
    stop: CancellationToken,
}

/// Measures with a herd.
pub(crate) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let many = plan.herd()?;
    let mut system = stage.system(&format!("{many} asleep"), UNTENDED).await?;
    populate::park(&system, ORIGINALS, |_| Rest::Timer).await?;
    sleep_until_one_second(&mut system.database).await?;
    populate::copy(&mut system.database, many - ORIGINALS).await?;
    populate::warm_up(&system).await?;
    system.database.settle().await?;

    let mut field = Field::new(system)?;
    let before = field.start_others(|done, _| done >= BEFORE).await?;
    let began = field.fire().await?;
    let meanwhile = field.start_others(|_, herd| herd >= many).await?;
    report.add(Section::Herd, "the herd", field.values(began));
    for (other, name) in [(Other::Tenant, "another tenant"), (Other::Urgent, "a higher priority")] {
        report.add(Section::Herd, &format!("{name}, before"), starts(other, &before));
        report.add(Section::Herd, &format!("{name}, meanwhile"), starts(other, &meanwhile));
    }
    let (mut database, leased) = field.stop().await?;
    check(&mut database, many, leased).await?;
    plans::report(&mut database, Section::Herd, report).await
}

async fn sleep_until_one_second(database: &mut Database) -> anyhow::Result<()> {
    for table in ["runs", "run_ready"] {
        let second = "date_trunc('second', tenure_now() + interval '2 days')";
        database.execute(format!("UPDATE {table} SET ready_at = {second}")).await?;
    }
    // The two statements may have seen two seconds.
    let last = "UPDATE runs SET ready_at = (SELECT max(ready_at) FROM run_ready);
                UPDATE run_ready SET ready_at = (SELECT max(ready_at) FROM runs)";
    database.execute(last.to_owned()).await
}

impl Field {
    fn new(system: System) -> anyhow::Result<Self> {
        let herd = Arc::new(Mutex::default());
        let (sender, others) = mpsc::unbounded_channel();
        let (stop, mut working) = (CancellationToken::new(), JoinSet::new());
        for hand in system.hands(HANDS, &[CROWD, ONE])? {
            let (herd, sender, stop) = (Arc::clone(&herd), sender.clone(), stop.clone());
            working.spawn(async move {
                if let Err(error) = work(&hand, &herd, &sender, &stop).await {
                    // Whoever listens gives up.
                    let _ = sender.send(Err(error));
                }
            });
        }
        Ok(Self { system, herd, others, working, stop })
    }

    /// Moves the database's clock to the end of all sleeps, as tests do.
    async fn fire(&mut self) -> anyhow::Result<Instant> {
        // The last of the others is ended by now, and not by the jump.
        tokio::time::sleep(PAUSE * 10).await;
        let left = "SELECT (max(ready_at) - tenure_now())::text FROM run_ready";
        let database = &mut self.system.database;
        let left: String = sqlx::query_scalar(left).fetch_one(&mut database.connection).await?;
        let jump = format!(
            "CREATE OR REPLACE FUNCTION tenure_now() RETURNS timestamptz
             LANGUAGE sql VOLATILE PARALLEL SAFE
             AS $$ SELECT clock_timestamp() + interval '{left}' $$"
        );
        database.execute(jump).await?;
        Ok(Instant::now())
    }

    /// Starts others one after the other, of each kind in turn, until `enough` says so of how many
    /// have started, and how many of the herd.
    async fn start_others(
        &mut self,
        enough: impl Fn(usize, usize) -> bool,
    ) -> anyhow::Result<Starts> {
        let (mut starts, mut herd) = (Starts::new(), (0, Instant::now()));
        while !enough(starts.len(), herd.0) {
            let other = if starts.len().is_multiple_of(2) { Other::Tenant } else { Other::Urgent };
            starts.push((other, self.start_one(other).await?));
            tokio::time::sleep(PAUSE).await;
            let arrived = self.arrived().len();
            if arrived > herd.0 {
                herd = (arrived, Instant::now());
            }
            ensure!(herd.1.elapsed() < LOST, "only {arrived} runs of the herd have woken up");
        }
        Ok(starts)
    }

    async fn start_one(&mut self, other: Other) -> anyhow::Result<Duration> {
        let (tenant, priority) = match other {
            Other::Tenant => (ONE, 0),
            Other::Urgent => (CROWD, URGENT),
        };
        let began = Instant::now();
        let run = self.system.create(tenant, OTHERS, priority).await?;
        let first = timeout(LOST, self.others.recv()).await;
        let first = first.with_context(|| format!("{run} does not start"))?;
        let (started, at) = first.context("all workers have stopped")??;
        ensure!(started == run, "{started} started instead of {run}");
        Ok(at.saturating_duration_since(began))
    }

    /// Lets what was begun be finished, and answers how many runs of the herd were leased.
    async fn stop(self) -> anyhow::Result<(Database, usize)> {
        let leased = self.arrived().len();
        self.stop.cancel();
        self.working.join_all().await;
        Ok((self.system.stop().await?, leased))
    }

    fn arrived(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.herd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How fast the herd was, from its beginning to its end.
    fn values(&self, began: Instant) -> Values {
        let mut arrived: Vec<Duration> =
            self.arrived().iter().map(|at| at.saturating_duration_since(began)).collect();
        arrived.sort_unstable();
        let count = arrived.len();
        let after = |share: usize| arrived[(count * share / 10).min(count - 1)].as_secs_f64();
        let rate = |from, to| float(count) / 10.0 * float(to - from) / (after(to) - after(from));
        vec![
            ("runs", float(count)),
            ("first s", after(0)),
            ("last s", after(10)),
            ("runs/s", rate(0, 10)),
            ("in the first tenth", rate(0, 1)),
            ("in the last tenth", rate(9, 10)),
        ]
    }
}

/// Executes runs until it is told to stop.
async fn work(
    hand: &Arc<Hand>,
    herd: &Mutex<Vec<Instant>>,
    others: &mpsc::UnboundedSender<anyhow::Result<(String, Instant)>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    while let Some(polled) = stop.run_until_cancelled(hand.poll(CAPACITY)).await {
        let (runs, at) = (polled?, Instant::now());
        for run in &runs {
            if populate::number(run)? == OTHERS {
                others.send(Ok((run.run.clone(), at)))?;
            } else {
                herd.lock().unwrap_or_else(PoisonError::into_inner).push(at);
            }
        }
        let finish = |run| {
            let hand = Arc::clone(hand);
            async move { hand.finish(&run).await }
        };
        each(runs, limits::LEASES, finish).await?;
    }
    Ok(())
}

/// From before its creation until a worker has it.
fn starts(other: Other, starts: &Starts) -> Values {
    let these = starts.iter().filter(|(started, _)| *started == other);
    let took = Sample::of_times(these.map(|(_, took)| *took));
    let [p50, p90, p99] = [50, 90, 99].map(|percent| took.percentile(percent));
    vec![("p50 ms", p50), ("p90 ms", p90), ("p99 ms", p99), ("most ms", took.most())]
}

/// Checks that nothing is lost.
async fn check(database: &mut Database, herd: usize, leased: usize) -> anyhow::Result<()> {
    let ended = database.count("SELECT count(*) FROM runs WHERE state = 'succeeded'").await?;
    let left = database.count("SELECT count(*) FROM runs WHERE state <> 'succeeded'").await?;
    let queue = database.count("SELECT count(*) FROM run_ready").await?;
    progress(&format!("herd: {ended} runs have succeeded; {herd} of them took {leased} leases"));
    ensure!(ended >= herd && left == 0, "{left} runs have not ended");
    ensure!(queue == 0, "{queue} rows are left in the queue");
    Ok(())
}
