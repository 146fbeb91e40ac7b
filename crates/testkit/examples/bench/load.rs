//! The load: so many clients at once, each of which creates a run, waits until it has ended, looks at
//! its output and creates the next; or runs that are created at a rate, whatever becomes of them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use tenure_sdk::{Client, v1};
use tenure_testkit::app;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tonic::transport::Channel;

use crate::child;
use crate::floor::{self, wire};
use crate::options;
use crate::seen::{Quantiles, Times, locked};
use crate::task::{AGENT, Task};
use wire::floor_client::FloorClient;

/// How long one call waits for the end of a run; a client then asks again.
const WAIT: Duration = Duration::from_secs(50);

/// What to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Runs that are under way at once.
    pub(crate) concurrency: usize,
    /// Steps of each.
    pub(crate) steps: u32,
    /// Bytes that each step gives.
    pub(crate) bytes: usize,
    /// After so long no more are created.
    pub(crate) seconds: f64,
    /// Runs that are created a second. Then a run's time counts from the moment at which its creation
    /// was due. Without, each client creates one as soon as its last has ended.
    pub(crate) rate: Option<f64>,
}

/// What it came to. All runs have succeeded with the right output.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// From before the creation of a run until its end was known.
    pub(crate) runs: Quantiles,
    /// Until the last run had ended.
    pub(crate) seconds: f64,
}

/// Whose runs they are.
#[derive(Clone)]
enum Target {
    Product(Box<Client>),
    Floor(FloorClient<Channel>),
}

/// Does what it is told.
pub(crate) async fn load(options: options::Load) -> anyhow::Result<()> {
    let target = if options.floor {
        Target::Floor(floor::connect(&options.url).await?)
    } else {
        Target::Product(Box::new(app::client(&options.url)))
    };
    child::answer(async |work: Work| work.all(&target).await).await
}

impl Work {
    async fn all(self, target: &Target) -> anyhow::Result<Done> {
        let began = Instant::now();
        let times = Arc::new(Mutex::new(Times::new()));
        match self.rate {
            None => self.closed(target, &times).await?,
            Some(rate) => self.open(rate, target, &times).await?,
        }
        let seconds = began.elapsed().as_secs_f64();
        Ok(Done { runs: locked(&times).quantiles(), seconds })
    }

    async fn closed(self, target: &Target, times: &Arc<Mutex<Times>>) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs_f64(self.seconds);
        let client = |_| {
            let (target, times) = (target.clone(), times.clone());
            async move {
                while Instant::now() < end {
                    self.one(&target, Instant::now(), &times).await?;
                }
                anyhow::Ok(())
            }
        };
        let clients: JoinSet<_> = (0..self.concurrency).map(client).collect();
        for done in clients.join_all().await {
            done?;
        }
        Ok(())
    }

    /// Falls behind only if more runs are under way than the work allows.
    async fn open(
        self,
        rate: f64,
        target: &Target,
        times: &Arc<Mutex<Times>>,
    ) -> anyhow::Result<()> {
        let (began, end) = (Instant::now(), Duration::from_secs_f64(self.seconds));
        let mut running = JoinSet::new();
        for number in 0_u32.. {
            let due = Duration::from_secs_f64(f64::from(number) / rate);
            if due >= end {
                break;
            }
            sleep_until((began + due).into()).await;
            while running.len() >= self.concurrency
                && let Some(done) = running.join_next().await
            {
                done??;
            }
            while let Some(done) = running.try_join_next() {
                done??;
            }
            let (target, times) = (target.clone(), times.clone());
            running.spawn(async move { self.one(&target, began + due, &times).await });
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        Ok(())
    }

    /// One run, whose time counts from this moment.
    async fn one(
        self,
        target: &Target,
        began: Instant,
        times: &Mutex<Times>,
    ) -> anyhow::Result<()> {
        let task = Task::new(self.steps, self.bytes);
        let output = target.run(&task).await?;
        locked(times).record(began.elapsed());
        let output: Task = serde_json::from_slice(&output)?;
        ensure!(output == task, "a run was to give {task:?}, and gave {output:?}");
        Ok(())
    }
}

impl Target {
    /// Has a run do this; its output.
    async fn run(&self, task: &Task) -> anyhow::Result<bytes::Bytes> {
        let input = serde_json::to_vec(task)?.into();
        match self {
            Self::Product(client) => product(client, input).await,
            Self::Floor(client) => {
                let started = client.clone().start(wire::StartRequest { input }).await?;
                Ok(started.into_inner().output)
            }
        }
    }
}

async fn product(client: &Client, input: bytes::Bytes) -> anyhow::Result<bytes::Bytes> {
    let content_type = "application/json".to_owned();
    let request = v1::CreateRunRequest {
        tenant: client.tenant().to_string(),
        agent: AGENT.into(),
        input: Some(v1::Payload { content_type, encoding: String::new(), data: input }),
        wait: Some(WAIT.into()),
        ..v1::CreateRunRequest::default()
    };
    let run = client.runs().create_run(request).await?.into_inner();
    ensure!(
        run.state() == v1::RunState::Succeeded,
        "{} is {} after {WAIT:?}: {:?}",
        run.id,
        run.state().as_str_name(),
        run.failure
    );
    Ok(run.output.context("a run has no output")?.data)
}
