//! Situations in which a run of a tenant that has one at a time is to start.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tenure_sdk::v1::LeasedRun;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::crowd::crew::Crew;
use crate::crowd::hand::Hand;
use crate::system::{CROWD, ONE, System};

/// How long a run of the crowd keeps its worker, which meanwhile waits for somebody else, as for a
/// model.
const WORK: Duration = Duration::from_millis(50);
/// The pause between two runs of the one, and by how much it varies: they are to meet every moment
/// between two ticks of the control plane.
const PAUSE: (Duration, Duration) = (Duration::from_millis(30), Duration::from_millis(50));
/// How long a run may take to start before it counts as lost.
const LOST: Duration = Duration::from_mins(1);

/// Who is waiting for runs, and what the crowd does.
#[derive(Clone, Copy)]
pub(crate) struct Situation {
    /// For people: who polls for which tenants, and what the crowd has of them.
    pub(crate) name: &'static str,
    /// Workers, each of which takes one run at a time.
    workers: usize,
    /// Whose runs they look for.
    tenants: &'static [&'static str],
    /// How many runs of the crowd may be leased.
    cap: Option<i32>,
    /// Whether so many are, all the time, by somebody else.
    at_cap: bool,
}

const WORKERS: usize = 16;

/// All of them.
pub(crate) const SITUATIONS: [Situation; 4] = [
    Situation {
        name: "one polls its tenant",
        workers: 1,
        tenants: &[ONE],
        cap: None,
        at_cap: false,
    },
    Situation {
        name: "one polls both, cap reached",
        workers: 1,
        tenants: &[CROWD, ONE],
        cap: Some(1),
        at_cap: true,
    },
    Situation {
        name: "16 poll both, 12 busy by cap",
        workers: WORKERS,
        tenants: &[CROWD, ONE],
        cap: Some(12),
        at_cap: false,
    },
    Situation {
        name: "16 poll both, all busy",
        workers: WORKERS,
        tenants: &[CROWD, ONE],
        cap: None,
        at_cap: false,
    },
];

/// How one run started.
pub(crate) struct Start {
    /// From before it was created until a worker had it.
    pub(crate) took: Duration,
    /// How many runs of the crowd were leased meanwhile.
    pub(crate) passed: usize,
}

/// What workers say.
struct Heard {
    at: Instant,
    run: String,
    /// How many runs of the crowd were leased before.
    crowd: usize,
}

impl Situation {
    /// Has so many runs started, one after the other.
    pub(crate) async fn measure(
        &self,
        system: &System,
        count: usize,
    ) -> anyhow::Result<Vec<Start>> {
        system.cap(self.cap).await?;
        let held = if self.at_cap { Some(reach_cap(system).await?) } else { None };
        let crowd = Arc::new(AtomicUsize::new(0));
        let (sender, mut heard) = mpsc::unbounded_channel();
        let (stop, mut working) = (CancellationToken::new(), JoinSet::new());
        for hand in system.hands(self.workers, self.tenants)? {
            let (crowd, sender, stop) = (crowd.clone(), sender.clone(), stop.clone());
            working.spawn(async move {
                if let Err(error) = work(&hand, &crowd, &sender, &stop).await {
                    // Whoever listens gives up.
                    let _ = sender.send(Err(error));
                }
            });
        }
        let mut starts = Vec::with_capacity(count);
        for number in 0..count {
            tokio::time::sleep(PAUSE.0 + PAUSE.1.mul_f64(fastrand::f64())).await;
            let (began, before) = (Instant::now(), crowd.load(Ordering::Relaxed));
            let run = system.create(ONE, number, 0).await?;
            let first = timeout(LOST, heard.recv()).await.context("the run does not start")?;
            let first = first.context("all workers have stopped")??;
            ensure!(first.run == run, "{} started instead of {run}", first.run);
            let (took, passed) = (first.at.saturating_duration_since(began), first.crowd - before);
            starts.push(Start { took, passed });
        }
        // What was begun is finished, or it would come back later.
        stop.cancel();
        working.join_all().await;
        if let Some((hand, run)) = held {
            hand.finish(&run).await?;
        }
        system.cap(None).await?;
        Ok(starts)
    }
}

/// Has a run of the crowd leased by a worker that keeps it; there is one also where there is no crowd.
async fn reach_cap(system: &System) -> anyhow::Result<(Arc<Hand>, LeasedRun)> {
    system.create(CROWD, 0, 0).await?;
    let mut crew = Crew::start(&system.hands(1, &[CROWD])?, 1);
    let leased = crew.next().await?;
    leased.hand.hold(&leased.run).await?;
    Ok((leased.hand, leased.run))
}

/// Executes runs until it is told to stop, and says when those of the one arrive.
async fn work(
    hand: &Hand,
    crowd: &AtomicUsize,
    heard: &mpsc::UnboundedSender<anyhow::Result<Heard>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    while let Some(polled) = stop.run_until_cancelled(hand.poll(1)).await {
        for run in polled? {
            if run.tenant == ONE {
                let crowd = crowd.load(Ordering::Relaxed);
                heard.send(Ok(Heard { at: Instant::now(), run: run.run.clone(), crowd }))?;
            } else {
                crowd.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(WORK).await;
            }
            hand.finish(&run).await?;
        }
    }
    Ok(())
}
