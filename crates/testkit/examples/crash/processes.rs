//! The processes that are killed: they die with this value, and workers also if this process is
//! killed itself.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

/// How long a lease lasts: takeover after a kill takes this long.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(1);
/// How long the control plane may take to listen, on a machine that is busy.
const START: Duration = Duration::from_secs(20);

/// The real binary, on an address that it keeps.
pub(crate) struct ControlPlane {
    command: Command,
    listen: SocketAddr,
    child: Child,
}

impl ControlPlane {
    /// Starts it; it listens when this returns.
    pub(crate) async fn start(database_url: &str, directory: &Path) -> anyhow::Result<Self> {
        let listen = free_address()?;
        let mut command = Command::new(binary()?);
        command
            .arg("--listen")
            .arg(listen.to_string())
            .arg("--lease-ttl")
            .arg(LEASE_TTL.as_secs_f64().to_string())
            .env("TENURE_TENANTS", "default")
            // Not on the command line, where everybody could read the password.
            .env("TENURE_DATABASE_URL", database_url);
        into_file(&mut command, &directory.join("control-plane.log"))?;
        let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn()?;
        let mut this = Self { command, listen, child };
        this.listens().await?;
        Ok(this)
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Kills it, and starts it again at once.
    pub(crate) async fn crash(&mut self) -> anyhow::Result<()> {
        kill(&mut self.child, "the control plane").await?;
        self.child = self.command.spawn()?;
        self.listens().await
    }

    /// An error if it has ended by itself.
    pub(crate) fn lives(&mut self) -> anyhow::Result<()> {
        lives(&mut self.child, "the control plane")
    }

    async fn listens(&mut self) -> anyhow::Result<()> {
        let listens = async {
            let mut again = interval(Duration::from_millis(20));
            loop {
                again.tick().await;
                self.lives()?;
                if TcpStream::connect(self.listen).await.is_ok() {
                    return Ok(());
                }
            }
        };
        timeout(START, listens).await.context("the control plane does not listen; see its log")?
    }
}

/// This program again, as workers that are replaced as soon as they are killed.
pub(crate) struct Workers {
    settings: Settings,
    /// Each with its name: the place, and the how-manieth process there is altogether.
    alive: Vec<(String, Child)>,
    started: u64,
}

struct Settings {
    url: String,
    directory: PathBuf,
    seed: u64,
}

impl Workers {
    /// Starts so many, which write into the log at [`log`].
    pub(crate) fn start(
        count: usize,
        url: String,
        directory: &Path,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let settings = Settings { url, directory: directory.to_owned(), seed };
        let mut this = Self { settings, alive: Vec::new(), started: 0 };
        for place in 0..count {
            let worker = this.spawn(place)?;
            this.alive.push(worker);
        }
        Ok(this)
    }

    /// Kills one of them and puts another into its place; the name of the dead.
    pub(crate) async fn crash(&mut self, random: &mut fastrand::Rng) -> anyhow::Result<String> {
        let place = random.usize(..self.alive.len());
        let (name, child) = &mut self.alive[place];
        let name = std::mem::take(name);
        kill(child, &name).await?;
        self.alive[place] = self.spawn(place)?;
        Ok(name)
    }

    /// An error if one has ended by itself.
    pub(crate) fn live(&mut self) -> anyhow::Result<()> {
        self.alive.iter_mut().try_for_each(|(name, child)| lives(child, name))
    }

    fn spawn(&mut self, place: usize) -> anyhow::Result<(String, Child)> {
        let Settings { url, directory, seed } = &self.settings;
        self.started += 1;
        let name = format!("worker-{place}.{}", self.started);
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", "--name", &name, "--url", url]).arg("--log").arg(log(directory));
        command.arg("--seed").arg(seed.wrapping_mul(1_000).wrapping_add(self.started).to_string());
        into_file(&mut command, &directory.join("workers.log"))?;
        // A worker whose standard input ends knows that this process has gone.
        let child = command.stdin(Stdio::piped()).kill_on_drop(true).spawn()?;
        Ok((name, child))
    }
}

/// Where the log of all processes is.
pub(crate) fn log(directory: &Path) -> PathBuf {
    directory.join("events.jsonl")
}

/// Kills a process with SIGKILL and waits until it is dead. One that was dead already has failed.
async fn kill(child: &mut Child, name: &str) -> anyhow::Result<()> {
    lives(child, name)?;
    child.kill().await.with_context(|| format!("{name} cannot be killed"))
}

fn lives(child: &mut Child, name: &str) -> anyhow::Result<()> {
    match child.try_wait()? {
        None => Ok(()),
        Some(status) => bail!("{name} has ended by itself: {status}; see its log"),
    }
}

fn into_file(command: &mut Command, path: &Path) -> anyhow::Result<()> {
    let file = File::options().create(true).append(true).open(path)?;
    command.stdout(file.try_clone()?).stderr(file);
    Ok(())
}

/// The control plane that was built beside this program.
fn binary() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let directory = this.parent().and_then(Path::parent).context("this program has no place")?;
    let binary = directory.join("tenure-control-plane");
    ensure!(binary.exists(), "{} is missing: use scripts/crash", binary.display());
    Ok(binary)
}

/// An address that stays free between two processes: above 32768 the kernel hands ports out to
/// outgoing connections.
fn free_address() -> anyhow::Result<SocketAddr> {
    for _ in 0..100 {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, fastrand::u16(10_000..32_768)));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free")
}
