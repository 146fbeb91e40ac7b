//! Real processes for tests: the control plane's binary, and whatever else a test starts. They are
//! killed, or told to stop, and started again; they die with their value.

use std::fs::File;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval, timeout};

/// How long a control plane may take to listen, on a machine that is busy.
const START: Duration = Duration::from_secs(30);

/// One process, and how to start another like it.
pub struct Process {
    /// For people, and of its log.
    pub name: String,
    command: Command,
    child: Child,
}

impl Process {
    /// Starts it. What it says goes to the end of `NAME.log` in `logs`, after what those before it
    /// under this name have said. Its standard input is open as long as this process lives: see
    /// [`end_with_parent`].
    pub fn start(name: &str, mut command: Command, logs: &Path) -> anyhow::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        Ok(Self { name: name.to_owned(), command, child })
    }

    /// Kills it with SIGKILL; it is dead when this returns. One that was dead already has failed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.lives()?;
        self.child.kill().await.with_context(|| format!("{} cannot be killed", self.name))
    }

    /// Tells it to stop (SIGTERM) and waits until it has; how long that took. An error if it takes
    /// longer than `patience`, or ends with anything but success.
    pub async fn stop(&mut self, patience: Duration) -> anyhow::Result<Duration> {
        let told = Instant::now();
        self.signal("TERM").await?;
        // To wait is to close it, which would tell the process that its parent has gone.
        let _open = self.child.stdin.take();
        let Ok(ended) = timeout(patience, self.child.wait()).await else {
            bail!("{} has not stopped after {patience:?}; see its log", self.name);
        };
        let status = ended?;
        ensure!(status.success(), "{} did not stop in order: {status}; see its log", self.name);
        Ok(told.elapsed())
    }

    /// Starts another one like it in its place.
    pub fn again(&mut self) -> anyhow::Result<()> {
        self.child = self.command.spawn()?;
        Ok(())
    }

    /// Its id.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().with_context(|| format!("{} has ended by itself; see its log", self.name))
    }

    /// An error if it has ended by itself.
    pub fn lives(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!("{} has ended by itself: {status}; see its log", self.name)
            }
        }
    }

    async fn signal(&mut self, signal: &str) -> anyhow::Result<()> {
        self.lives()?;
        let id = self.child.id().context("a process that lives has an id")?;
        let sent = Command::new("kill").args(["-s", signal, &id.to_string()]).status().await?;
        ensure!(sent.success(), "{} cannot be sent {signal}", self.name);
        Ok(())
    }
}

/// What a control plane is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program `tenure-control-plane`.
    pub binary: PathBuf,
    /// For people, and of its log.
    pub name: String,
    /// Where its log goes.
    pub logs: PathBuf,
    /// Its database.
    pub database_url: String,
    /// The Redis that carries its hints; left out, the database does.
    pub redis_url: Option<String>,
    /// How long a lease lasts: takeover after a kill takes this long.
    pub lease_ttl: Duration,
    /// Tenants that exist from its start, with commas between them.
    pub tenants: &'static str,
}

/// The real control plane, on an address that it keeps.
pub struct ControlPlane {
    /// It.
    pub process: Process,
    /// Where it listens.
    pub listen: SocketAddr,
}

impl ControlPlane {
    /// Starts it; it listens when this returns.
    pub async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let listen = free_address()?;
        let mut command = Command::new(&settings.binary);
        command
            .args(["--listen", &listen.to_string()])
            .args(["--lease-ttl", &settings.lease_ttl.as_secs_f64().to_string()])
            .env("TENURE_TENANTS", settings.tenants)
            // Not on the command line, where everybody could read the password.
            .env("TENURE_DATABASE_URL", &settings.database_url)
            .env_remove("TENURE_REDIS_URL");
        if let Some(redis) = &settings.redis_url {
            command.env("TENURE_REDIS_URL", redis);
        }
        let process = Process::start(&settings.name, command, &settings.logs)?;
        let mut this = Self { process, listen };
        this.listens().await?;
        Ok(this)
    }

    /// Where it listens, as clients are told.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Starts another one in its place, at its address; it listens when this returns.
    pub async fn again(&mut self) -> anyhow::Result<()> {
        self.process.again()?;
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
        timeout(START, listens).await.context("a control plane does not listen; see its log")?
    }
}

/// Ends this process as soon as the one that has started it by [`Process::start`] is gone, however
/// that ended.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}

/// The program of this name that was built beside this one, an example.
pub fn beside_example(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let directory = this.parent().and_then(Path::parent).context("this program has no place")?;
    let binary = directory.join(name);
    ensure!(binary.exists(), "{} is missing: use the script", binary.display());
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
