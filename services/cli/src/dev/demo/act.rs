//! The run, the kill and the takeover, as they happen.

use std::time::{Duration, Instant};

use tenure_sdk::v1;
use tenure_sdk::v1::watch_run_response::Event as Change;
use tokio::sync::mpsc;

use crate::dev::Stack;
use crate::dev::evidence::Evidence;
use crate::dev::workers::{Event, Workers};
use crate::problem::Problem;
use crate::timeline;
use crate::ui::{text, time};
use crate::watch::watch;

/// How long a line may need through the pipe of a worker.
const QUIET: Duration = Duration::from_millis(300);
/// How often to look whether anything happens.
const TICK: Duration = Duration::from_millis(100);
/// What the first worker says when it starts no more steps and has recorded all before.
const HOLDING: &str = "holding after";
/// After this long without anything new the demo is stuck; a slow model is not.
const STUCK: Duration = Duration::from_mins(5);

/// What is left when the run has ended.
pub(super) struct Outcome {
    pub(super) run: v1::Run,
    pub(super) evidence: Evidence,
    /// The process id of the worker that is alive.
    pub(super) worker: u32,
}

/// Workers that may die without our doing.
const DEATHS: u32 = 3;

/// Where the story is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The first worker has the run.
    First,
    /// It has done half of the steps and waits to be killed.
    Held,
    /// The first worker is being killed, or is dead and its lease still runs.
    Killed,
    /// The second worker has the run.
    Second,
}

/// The demo from the start of the run to its end.
pub(super) struct Act<'a> {
    stack: &'a mut Stack,
    workers: &'a mut Workers,
    run: &'a v1::Run,
    evidence: Evidence,
    stage: Stage,
    /// The last time that anything happened.
    last: Instant,
    worker: u32,
    deaths: u32,
}

impl<'a> Act<'a> {
    pub(super) fn new(stack: &'a mut Stack, workers: &'a mut Workers, run: &'a v1::Run) -> Self {
        let evidence = Evidence::default();
        let (stage, last) = (Stage::First, Instant::now());
        Self { stack, workers, run, evidence, stage, last, worker: 0, deaths: 0 }
    }

    /// Plays until the run has ended, or a signal has come (`None`).
    pub(super) async fn play(mut self) -> Result<Option<Outcome>, Problem> {
        self.stack.teller.phase("the first worker")?;
        let (sender, mut changes) = mpsc::unbounded_channel();
        let (client, run) = (self.stack.session.client.clone(), self.run.id.clone());
        let watched = watch_into(client, run, sender);
        tokio::pin!(watched);
        let mut ticks = tokio::time::interval(TICK);
        let shutdown = self.stack.shutdown.clone();
        let ended = loop {
            tokio::select! {
                // In this order: a step is announced before it is recorded, and an entry is
                // recorded before its run ends.
                biased;
                () = shutdown.cancelled() => return Ok(None),
                problem = self.stack.plane.failed() => return Err(problem),
                event = self.workers.next() => self.worker(&event)?,
                Some(change) = changes.recv() => self.change(&change)?,
                ended = &mut watched => break ended?,
                _ = ticks.tick() => self.look()?,
            }
        };
        self.last_words(&mut changes).await?;
        Ok(Some(Outcome { run: ended, evidence: self.evidence, worker: self.worker }))
    }

    /// What was said before the end and not heard yet.
    async fn last_words(
        &mut self,
        changes: &mut mpsc::UnboundedReceiver<Change>,
    ) -> Result<(), Problem> {
        while let Ok(change) = changes.try_recv() {
            self.change(&change)?;
        }
        while let Ok(event) = tokio::time::timeout(QUIET, self.workers.next()).await {
            self.worker(&event)?;
        }
        Ok(())
    }

    fn worker(&mut self, event: &Event) -> Result<(), Problem> {
        match event {
            Event::Line(line) if self.evidence.line(&self.run.id, line) => {
                self.last = Instant::now();
                Ok(())
            }
            Event::Started { pid } => {
                self.worker = *pid;
                self.stack.tell(event)
            }
            Event::Died { pid, how } if self.stage == Stage::Killed => self.died(*pid, how),
            Event::Line(line) if self.stage == Stage::First && line.starts_with(HOLDING) => {
                self.stage = Stage::Held;
                Ok(())
            }
            Event::Died { .. } => {
                self.deaths += 1;
                self.stack.tell(event)?;
                self.too_many_deaths()
            }
            Event::Line(_) | Event::Failed(_) => self.stack.tell(event),
        }
    }

    fn too_many_deaths(&self) -> Result<(), Problem> {
        if self.deaths <= DEATHS {
            return Ok(());
        }
        Err(Problem::new("one worker after the other dies").hint("what they said is above"))
    }

    fn died(&self, pid: u32, how: &str) -> Result<(), Problem> {
        let paint = self.stack.teller.paint();
        self.stack.say(&paint.bad(format!("worker {pid} is dead ({how})")))?;
        self.stack.say(
            "nobody is told of it: the run stays leased to the dead worker until the 3 s are over",
        )
    }

    fn change(&mut self, change: &Change) -> Result<(), Problem> {
        let Change::Entry(entry) = change else { return Ok(()) };
        self.last = Instant::now();
        let before = self.evidence.recorded();
        if self.evidence.entry(entry) {
            self.taken_over(before)?;
        }
        let record = entry.record.clone().unwrap_or_default();
        let took = time::took(time::length(record.duration.as_ref()));
        let (seq, key, kind) = (entry.seq, text::line(&record.key), timeline::kind(&record));
        self.stack.say(&format!("recorded {seq:>3}  {kind:<8}  {key}  ({took})"))
    }

    fn taken_over(&mut self, before: usize) -> Result<(), Problem> {
        self.stage = Stage::Second;
        self.stack.teller.phase("the takeover")?;
        let paint = self.stack.teller.paint();
        let worker = self.worker;
        self.stack.say(&paint.good(format!("worker {worker} has taken the run over")))?;
        self.stack.say(&format!(
            "{before} results come from the journal; what made them is not done again"
        ))
    }

    /// Kills the worker when it is held, and gives up when nothing happens any more.
    fn look(&mut self) -> Result<(), Problem> {
        let quiet = self.last.elapsed();
        // The worker has heard that all is recorded; we may hear it a moment later.
        if self.stage == Stage::Held && self.evidence.nothing_in_flight() {
            self.stage = Stage::Killed;
            self.stack.teller.phase("the crash")?;
            let done = self.evidence.recorded();
            let text = format!("halfway, with {done} results recorded: kill -9 {}", self.worker);
            self.stack.say(&text)?;
            self.workers.kill();
        }
        if quiet < STUCK {
            return Ok(());
        }
        let id = &self.run.id;
        Err(Problem::new(format!("nothing has happened to {id} for {}", time::took(quiet)))
            .hint("look at what the worker and the control plane have said above"))
    }
}

/// Watches the run and sends each change.
async fn watch_into(
    client: tenure_sdk::Client,
    run: String,
    sender: mpsc::UnboundedSender<Change>,
) -> Result<v1::Run, Problem> {
    watch(&client, &run, |change| {
        // Nobody listens only when the demo is over.
        let _ = sender.send(change);
        Ok(())
    })
    .await
}
