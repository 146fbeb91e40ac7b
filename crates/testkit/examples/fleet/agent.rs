//! The worker: two agents, and what they write into the log.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tenure_sdk::{
    Approval, Context, EntryKind, Key, Observer, RunId, Stop, Worker, join, shutdown_signal,
};
use tenure_testkit::app;
use tenure_testkit::processes::end_with_parent;

use crate::log::{Event, Log};
use crate::options;

/// Steps, a signal, an approval beside a step, and a sleep.
pub(crate) const JOURNEY: &str = "journey";
/// Waits for a signal at once, and ends soon after it.
pub(crate) const ERRAND: &str = "errand";
/// The signal that both wait for; it brings the number of the run.
pub(crate) const GO: &str = "go";
/// What the answer adds, if it changes what was asked.
pub(crate) const EDIT: u64 = 1_000_000;

/// How the journey of a number goes.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    number: u64,
}

/// What the tool of a journey is called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) number: u64,
}

impl Plan {
    pub(crate) fn of(number: u64) -> Self {
        Self { number }
    }

    fn first(self) -> Duration {
        Duration::from_millis(20 + self.number * 37 % 180)
    }

    /// One in eight takes so long that a worker which stops is in the middle of it.
    fn side(self) -> Duration {
        let long = if self.number.is_multiple_of(8) { 3_000 } else { 100 };
        Duration::from_millis(long + self.number * 53 % 300)
    }

    fn sleep(self) -> Duration {
        Duration::from_millis(1_200 + self.number * 71 % 800)
    }

    /// Whether the answer changes what was asked.
    pub(crate) fn edited(self) -> bool {
        self.number.is_multiple_of(3)
    }

    /// What the journey comes to: its number from the first step, from the signal, from the step at
    /// its side and from the last one, and between them what was sent.
    pub(crate) fn output(self) -> Vec<u64> {
        let sent = self.number + if self.edited() { EDIT } else { 0 };
        vec![self.number, self.number, self.number, sent, self.number]
    }
}

/// Works until it is told to stop, or until the clients have gone, however that ended.
pub(crate) async fn work(options: options::Worker) -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    end_with_parent();
    let recorder = Arc::new(Recorder(Log::open(&options.log)?));
    let (one, other) = (recorder.clone(), recorder.clone());
    let worker = Worker::new(app::client(&options.url)).observer(recorder);
    let worker =
        worker.handle(JOURNEY, move |context, number| journey(context, number, one.clone()));
    let worker =
        worker.handle(ERRAND, move |context, number| errand(context, number, other.clone()));
    worker.run(shutdown_signal()).await?;
    Ok(())
}

async fn journey(context: Context, number: u64, log: Arc<Recorder>) -> Result<Vec<u64>, Stop> {
    log.note(context.run(), Event::Began);
    let plan = Plan::of(number);
    let first = step(&context, "first", plan.first(), number).await?;
    let brought = go(&context, &log).await?;
    let scopes = [("side", context.scope("side")?), ("letter", context.scope("letter")?)];
    let branch = async |(name, scope): &(&str, Context)| match *name {
        "side" => step(scope, name, plan.side(), number).await,
        _ => send(scope, Letter { number }).await,
    };
    let both = join(scopes.iter().map(branch)).await?;
    context.sleep(plan.sleep()).await?;
    let last = step(&context, "last", plan.first(), number).await?;
    Ok([first, brought].into_iter().chain(both).chain([last]).collect())
}

async fn errand(context: Context, number: u64, log: Arc<Recorder>) -> Result<Vec<u64>, Stop> {
    log.note(context.run(), Event::Began);
    let brought = go(&context, &log).await?;
    let done = step(&context, "done", Duration::ZERO, number).await?;
    Ok(vec![brought, done])
}

/// Waits for the signal; the number that it brings.
async fn go(context: &Context, log: &Recorder) -> Result<u64, Stop> {
    let brought = context.wait_for(&GO.parse()?).await?;
    log.note(context.run(), Event::Resumed);
    Ok(serde_json::from_slice(&brought.data)?)
}

/// Work that takes so long, and gives the number.
async fn step(context: &Context, name: &str, length: Duration, number: u64) -> Result<u64, Stop> {
    let work = |_| async move {
        tokio::time::sleep(length).await;
        Ok(number)
    };
    context.step(name).run(work).await
}

/// A tool that needs approval; the number that it was called with.
async fn send(context: &Context, letter: Letter) -> Result<u64, Stop> {
    let letter = match context.approve("send", &letter).await? {
        Approval::Approved(letter) => letter,
        Approval::Rejected { .. } | Approval::Responded(_) => return Ok(0),
    };
    let send = context.step("send").kind(EntryKind::Tool).input(&letter);
    send.run(|_| async move { Ok(letter.number) }).await
}

struct Recorder(Log);

impl Recorder {
    fn note(&self, run: RunId, event: Event) {
        self.0.write(run.to_string(), event).expect("the log can be written");
    }
}

#[async_trait]
impl Observer for Recorder {
    async fn before_step(&self, run: RunId, key: &Key, _epoch: u64) {
        self.note(run, Event::Executed(key.to_string()));
    }
}
