//! Everything that is under test, and the load balancers before it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_sdk::Client;
use tenure_testkit::app;
use tenure_testkit::processes::{ControlPlane, Process, Settings, beside_example};
use tenure_testkit::proxy::Proxy;
use tokio::process::Command;

/// How long a lease lasts: what operators have unless they say otherwise.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(10);
/// How long it may take until somebody notices that a lease or an offer has run out, and another
/// worker has the run.
pub(crate) const NOTICED: Duration = Duration::from_secs(1);
/// How long a process may take to stop: a worker's grace, and some seconds for what is left then.
const PATIENCE: Duration = Duration::from_secs(40);

/// How to build a site.
pub(crate) struct Plan {
    pub(crate) database_url: String,
    pub(crate) redis_url: Option<String>,
    /// Where logs go.
    pub(crate) directory: PathBuf,
    pub(crate) control_planes: usize,
    pub(crate) workers: usize,
    /// Clients talk to the first control plane and workers to the others, so that every wake-up has
    /// to go from one process to another; else everybody talks to all.
    pub(crate) apart: bool,
}

/// The processes and two load balancers.
pub(crate) struct Site {
    pub(crate) control_planes: Vec<ControlPlane>,
    pub(crate) workers: Vec<Process>,
    /// Before the control planes of the clients.
    front: Proxy,
    /// Before those of the workers.
    _back: Proxy,
    /// The log of the workers.
    pub(crate) log: PathBuf,
}

impl Site {
    /// Starts all of it.
    pub(crate) async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let mut control_planes = Vec::new();
        for place in 0..plan.control_planes {
            control_planes.push(start_control_plane(plan, place).await?);
        }
        let listen = |one: &ControlPlane| one.listen.to_string();
        let all: Vec<String> = control_planes.iter().map(listen).collect();
        let (front, back) = if plan.apart { all.split_at(1) } else { (&*all, &*all) };
        let (front, back) =
            (Proxy::balance(front.to_vec()).await, Proxy::balance(back.to_vec()).await);
        let log = plan.directory.join("executions.jsonl");
        let url = format!("http://{}", back.address);
        let worker = |place| start_worker(place, &url, &log, &plan.directory);
        let workers = (0..plan.workers).map(worker).collect::<anyhow::Result<_>>()?;
        Ok(Self { control_planes, workers, front, _back: back, log })
    }

    /// So many clients, each with a connection of its own.
    pub(crate) fn clients(&self, count: usize) -> Vec<Client> {
        let url = format!("http://{}", self.front.address);
        (0..count).map(|_| app::client(&url)).collect()
    }

    /// Tells a control plane to stop, and puts another into its place; how long the stop took.
    pub(crate) async fn replace_control_plane(&mut self, place: usize) -> anyhow::Result<Duration> {
        let control_plane = &mut self.control_planes[place];
        let stopped = control_plane.process.stop(PATIENCE).await?;
        control_plane.again().await?;
        Ok(stopped)
    }

    /// Tells a worker to stop, and puts another into its place; how long the stop took.
    pub(crate) async fn replace_worker(&mut self, place: usize) -> anyhow::Result<Duration> {
        let stopped = self.workers[place].stop(PATIENCE).await?;
        self.workers[place].again()?;
        Ok(stopped)
    }

    /// An error if a process has ended by itself.
    pub(crate) fn lives(&mut self) -> anyhow::Result<()> {
        let control_planes = self.control_planes.iter_mut().map(|one| &mut one.process);
        control_planes.chain(&mut self.workers).try_for_each(Process::lives)
    }
}

impl Plan {
    /// What the control planes have said.
    pub(crate) fn said_by_control_planes(&self) -> std::io::Result<Vec<String>> {
        (0..self.control_planes).map(|place| self.said(&control_plane(place))).collect()
    }

    /// What the workers have said.
    pub(crate) fn said_by_workers(&self) -> std::io::Result<Vec<String>> {
        (0..self.workers).map(|place| self.said(&worker(place))).collect()
    }

    fn said(&self, name: &str) -> std::io::Result<String> {
        std::fs::read_to_string(self.directory.join(format!("{name}.log")))
    }
}

async fn start_control_plane(plan: &Plan, place: usize) -> anyhow::Result<ControlPlane> {
    let settings = Settings {
        binary: beside_example("tenure-control-plane")?,
        name: control_plane(place),
        logs: plan.directory.clone(),
        database_url: plan.database_url.clone(),
        redis_url: plan.redis_url.clone(),
        lease_ttl: LEASE_TTL,
        tenants: "default",
    };
    ControlPlane::start(&settings).await
}

fn control_plane(place: usize) -> String {
    format!("control-plane-{place}")
}

fn worker(place: usize) -> String {
    format!("worker-{place}")
}

/// This program again.
fn start_worker(place: usize, url: &str, log: &Path, logs: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["worker", "--url", url]).arg("--log").arg(log);
    Process::start(&worker(place), command, logs)
}
