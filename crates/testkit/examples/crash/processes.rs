//! The processes that are killed and stopped: they die with this value, and workers also if this
//! process is killed itself.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

use crate::fault::worker_name;

/// How long a lease lasts: takeover after a kill takes this long.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(1);
/// How long a control plane may take to listen, on a machine that is busy and with a database that
/// is away for a moment.
const START: Duration = Duration::from_secs(30);

/// One process, and how to start another like it.
pub(crate) struct Process {
    /// For people; of a worker, the one in the log.
    pub(crate) name: String,
    command: Command,
    child: Child,
}

impl Process {
    fn start(name: String, mut command: Command) -> anyhow::Result<Self> {
        let child = command.kill_on_drop(true).spawn()?;
        Ok(Self { name, command, child })
    }

    /// Kills it with SIGKILL and waits until it is dead. One that was dead already has failed.
    async fn kill(&mut self) -> anyhow::Result<()> {
        self.lives()?;
        self.child.kill().await.with_context(|| format!("{} cannot be killed", self.name))
    }

    /// Freezes it with SIGSTOP.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        self.signal("STOP").await
    }

    /// Lets it go on.
    pub(crate) async fn go_on(&mut self) -> anyhow::Result<()> {
        self.signal("CONT").await
    }

    async fn signal(&mut self, signal: &str) -> anyhow::Result<()> {
        self.lives()?;
        let id = self.child.id().context("a process that lives has an id")?;
        let sent = Command::new("kill").args(["-s", signal, &id.to_string()]).status().await?;
        ensure!(sent.success(), "{} cannot be sent {signal}", self.name);
        Ok(())
    }

    /// An error if it has ended by itself.
    pub(crate) fn lives(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!("{} has ended by itself: {status}; see its log", self.name)
            }
        }
    }
}

/// A server, on an address that it keeps.
pub(crate) struct Server {
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
}

impl Server {
    /// A control plane, the real binary; it listens when this returns.
    pub(crate) async fn control_plane(
        place: usize,
        database_url: &str,
        redis_url: Option<&str>,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let listen = free_address()?;
        let mut command = Command::new(binary()?);
        command
            .arg("--listen")
            .arg(listen.to_string())
            .arg("--lease-ttl")
            .arg(LEASE_TTL.as_secs_f64().to_string())
            .env("TENURE_TENANTS", "default")
            // Not on the command line, where everybody could read the password.
            .env("TENURE_DATABASE_URL", database_url)
            .env_remove("TENURE_REDIS_URL")
            .stdin(Stdio::null());
        if let Some(url) = redis_url {
            command.args(["--redis-url", url]);
        }
        into_file(&mut command, &directory.join(format!("control-plane-{place}.log")))?;
        Self::start(format!("control plane {place}"), command, listen).await
    }

    /// A Redis that keeps nothing; it listens when this returns.
    pub(crate) async fn redis(directory: &Path) -> anyhow::Result<Self> {
        let listen = free_address()?;
        let installed =
            |program: &&str| Command::new(program).arg("--version").as_std_mut().output().is_ok();
        let program = ["redis-server", "valkey-server"].into_iter().find(installed);
        let mut command = Command::new(program.context("redis-server is not installed")?);
        command
            .args(["--bind", "127.0.0.1", "--port", &listen.port().to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .current_dir(directory)
            .stdin(Stdio::null());
        into_file(&mut command, &directory.join("redis.log"))?;
        Self::start("Redis".into(), command, listen).await
    }

    async fn start(name: String, command: Command, listen: SocketAddr) -> anyhow::Result<Self> {
        let mut this = Self { process: Process::start(name, command)?, listen };
        this.listens().await?;
        Ok(this)
    }

    /// Kills it, and starts it again at once.
    pub(crate) async fn crash(&mut self) -> anyhow::Result<()> {
        self.process.kill().await?;
        self.process.child = self.process.command.spawn()?;
        self.listens().await
    }

    async fn listens(&mut self) -> anyhow::Result<()> {
        let listens = async {
            let mut again = interval(Duration::from_millis(20));
            loop {
                again.tick().await;
                self.process.lives()?;
                if TcpStream::connect(self.listen).await.is_ok() {
                    return Ok(());
                }
            }
        };
        let listened = timeout(START, listens).await;
        listened.with_context(|| format!("{} does not listen; see its log", self.process.name))?
    }
}

/// This program again as a worker, replaced as soon as it is killed.
pub(crate) struct Worker {
    settings: Settings,
    pub(crate) process: Process,
    started: u64,
}

/// What a worker is told.
pub(crate) struct Settings {
    pub(crate) place: usize,
    pub(crate) url: String,
    /// Where the logs are.
    pub(crate) directory: PathBuf,
    pub(crate) seed: u64,
}

impl Worker {
    /// Starts it.
    pub(crate) fn start(settings: Settings) -> anyhow::Result<Self> {
        let process = spawn(&settings, 1)?;
        Ok(Self { settings, process, started: 1 })
    }

    /// Kills it and puts another into its place; nothing of the dead one comes after this.
    pub(crate) async fn crash(&mut self) -> anyhow::Result<()> {
        self.process.kill().await?;
        self.started += 1;
        self.process = spawn(&self.settings, self.started)?;
        Ok(())
    }
}

fn spawn(settings: &Settings, started: u64) -> anyhow::Result<Process> {
    let Settings { place, url, directory, seed } = settings;
    let name = worker_name(*place, started);
    let seed = seed.wrapping_mul(1_000).wrapping_add(*place as u64);
    let seed = seed.wrapping_mul(100_000).wrapping_add(started);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["worker", "--name", &name, "--url", url]).arg("--logs").arg(directory);
    command.arg("--seed").arg(seed.to_string());
    // A worker whose standard input ends knows that this process has gone.
    command.stdin(Stdio::piped());
    into_file(&mut command, &directory.join(format!("worker-{place}.log")))?;
    Process::start(name, command)
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
