//! The load: so many clients at once, each of which creates a run, waits until it has ended, looks at
//! its output and creates the next.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use tenure_sdk::{Client, v1};
use tenure_testkit::app;
use tokio::task::JoinSet;
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
        let end = began + Duration::from_secs_f64(self.seconds);
        let times = Arc::new(Mutex::new(Times::new()));
        let one = |_| self.one_after_the_other(target.clone(), end, times.clone());
        let mut clients: JoinSet<_> = (0..self.concurrency).map(one).collect();
        while let Some(done) = clients.join_next().await {
            done??;
        }
        let seconds = began.elapsed().as_secs_f64();
        Ok(Done { runs: locked(&times).quantiles(), seconds })
    }

    async fn one_after_the_other(
        self,
        target: Target,
        end: Instant,
        times: Arc<Mutex<Times>>,
    ) -> anyhow::Result<()> {
        while Instant::now() < end {
            let began = Instant::now();
            let task = Task::new(self.steps, self.bytes);
            let output = target.run(&task).await?;
            locked(&times).record(began.elapsed());
            let output: Task = serde_json::from_slice(&output)?;
            ensure!(output == task, "a run was to give {task:?}, and gave {output:?}");
        }
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
