//! The control plane in this process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use tenure_control_plane::Config;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::problem::Problem;

/// How long it may take to end what it is doing.
const GRACE: Duration = Duration::from_secs(10);

/// A control plane that is up.
#[derive(Debug)]
pub(super) struct Plane {
    address: SocketAddr,
    /// Its own, so that it outlives the workers. Dropped, it ends the control plane.
    shutdown: DropGuard,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Plane {
    /// Starts it and returns when it listens.
    pub(super) async fn start(config: Config) -> Result<Self, Problem> {
        if is_taken(config.listen) {
            return Err(Problem::new(format!("{} is taken", config.listen)).hint(
                "another 'tenure dev' may be running; choose another port with --listen 127.0.0.1:0",
            ));
        }
        let shutdown = CancellationToken::new();
        let (ready, address) = oneshot::channel();
        let ready = move |address| {
            // Nobody waits any more only if the start was given up.
            let _ = ready.send(address);
        };
        let mut task = tokio::spawn(tenure_control_plane::serve(config, ready, shutdown.clone()));
        let shutdown = shutdown.drop_guard();
        tokio::select! {
            biased;
            Ok(address) = address => Ok(Self { address, shutdown, task }),
            end = &mut task => Err(problem("cannot start", end)),
        }
    }

    /// Where this machine reaches it.
    pub(super) fn url(&self) -> String {
        let ip = match self.address.ip() {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// Waits until it ends by itself, which it never should.
    pub(super) async fn failed(&mut self) -> Problem {
        problem("has stopped", (&mut self.task).await)
    }

    pub(super) async fn stop(self) -> Result<(), Problem> {
        drop(self.shutdown);
        match tokio::time::timeout(GRACE, self.task).await {
            // Out of time is no failure: what it has acknowledged is committed.
            Ok(Ok(Ok(()))) | Err(_) => Ok(()),
            Ok(end) => Err(problem("has stopped", end)),
        }
    }
}

/// Whether somebody listens there already.
pub(super) fn is_taken(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

fn problem(what: &str, end: Result<anyhow::Result<()>, JoinError>) -> Problem {
    match end {
        Ok(Ok(())) => Problem::new(format!("the control plane {what}")),
        Ok(Err(error)) => Problem::new(format!("the control plane {what}: {error:#}")),
        Err(error) => Problem::new(format!("the control plane {what}: {error}")),
    }
}
