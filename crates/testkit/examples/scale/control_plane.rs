//! The real control plane, in a process of its own that ends with this value.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

use crate::system::{CROWD, ONE};

/// How long it may take to listen, on a machine that is busy.
const START: Duration = Duration::from_mins(1);
/// Leases outlast every measurement: the workers send no heartbeats.
const LEASE_TTL: Duration = Duration::from_hours(1);

/// The process.
pub(crate) struct ControlPlane {
    listen: SocketAddr,
    child: Child,
}

impl ControlPlane {
    /// Starts it on a database; it listens when this returns.
    pub(crate) async fn start(database_url: &str, log: &Path) -> anyhow::Result<Self> {
        let listen = free_address()?;
        let file = File::options().create(true).append(true).open(log)?;
        let child = Command::new(binary()?)
            .args(["--listen", &listen.to_string()])
            .args(["--lease-ttl", &LEASE_TTL.as_secs().to_string()])
            .env("TENURE_TENANTS", format!("{CROWD},{ONE}"))
            // Not on the command line, where everybody could read the password.
            .env("TENURE_DATABASE_URL", database_url)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()?;
        let mut this = Self { listen, child };
        timeout(START, this.listens()).await.context("the control plane does not listen")??;
        Ok(this)
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// The process.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the control plane has ended by itself; see its log")
    }

    /// Kills it and waits until it is gone.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("the control plane cannot be killed")
    }

    async fn listens(&mut self) -> anyhow::Result<()> {
        let mut again = interval(Duration::from_millis(20));
        loop {
            again.tick().await;
            if let Some(status) = self.child.try_wait()? {
                bail!("the control plane has ended by itself: {status}; see its log");
            }
            if TcpStream::connect(self.listen).await.is_ok() {
                return Ok(());
            }
        }
    }
}

/// The control plane that was built beside this program.
fn binary() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let directory = this.parent().and_then(Path::parent).context("this program has no place")?;
    let binary = directory.join("tenure-control-plane");
    ensure!(binary.exists(), "{} is missing: use scripts/scale", binary.display());
    Ok(binary)
}

/// An address that stays free until the process has it: above 32768 the kernel hands ports out to
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
