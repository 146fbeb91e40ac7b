//! `tenure dev`: everything on this machine, with one command and nothing to install.
//!
//! The control plane runs in this process and the worker in a child process, as they would in a
//! cluster: so a worker can be killed and the next one takes over.

mod demo;
mod documents;
mod evidence;
mod plane;
mod provider;
mod teller;
mod workers;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tenure_control_plane::Config;
use tenure_core::limits;
use tenure_telemetry::LogFormat;
use tokio_util::sync::CancellationToken;

use crate::cli::{Dev, Global};
use crate::problem::Problem;
use crate::session::Session;
use crate::ui::{Ui, text};
use plane::Plane;
use teller::Teller;
use workers::{Event, Options, Workers};

const DATA: &str = ".tenure";
const PORT: u16 = 7700;

/// Everything that `tenure dev` runs, and how to reach it.
struct Stack {
    plane: Plane,
    session: Session,
    /// Cancelled by SIGINT and SIGTERM.
    shutdown: CancellationToken,
    teller: Teller,
}

pub(crate) async fn dev(global: &Global, ui: Ui, command: Dev) -> Result<ExitCode, Problem> {
    if command.demo {
        return demo::demo(global, ui, &command).await;
    }
    serve(global, ui, &command).await
}

/// Runs until somebody ends it.
async fn serve(global: &Global, ui: Ui, command: &Dev) -> Result<ExitCode, Problem> {
    let listen = command.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
    let mut stack = Stack::start(global, ui, command, listen, limits::LEASE_TTL).await?;
    let options = Options { files: command.files.clone(), ..stack.worker_options() };
    let mut workers = Workers::start(options, stack.shutdown.clone())?;
    stack.say(&format!("agents and runs are at {}", stack.plane.url()))?;
    stack.say("Ctrl-C stops everything; nothing is lost, and the next start goes on")?;
    stack.run(&mut workers).await?;
    stack.stop(workers).await?;
    Ok(ExitCode::SUCCESS)
}

impl Stack {
    async fn start(
        global: &Global,
        ui: Ui,
        command: &Dev,
        listen: SocketAddr,
        lease_ttl: Duration,
    ) -> Result<Self, Problem> {
        // What happens is told; the log has what should not.
        tenure_telemetry::start(workers::LOG, LogFormat::Text);
        let teller = Teller::new(ui);
        let shutdown = tenure_sdk::shutdown_signal();
        let (database_url, place) = database(command.database_url.as_deref())?;
        let tenants = vec![global.tenant.clone()];
        let config = Config { listen, database_url, lease_ttl, tenants, ..Config::default() };
        let plane = Plane::start(config).await?;
        teller.say(format!("control plane is up at {}; runs are kept in {place}", plane.url()))?;
        teller.event(&json!({"event": "listening", "url": plane.url()}))?;
        let session = Session::open(&Global { url: plane.url(), ..global.clone() }, ui)?;
        Ok(Self { plane, session, shutdown, teller })
    }

    fn say(&self, text: &str) -> Result<(), Problem> {
        self.teller.say(text)
    }

    fn worker_options(&self) -> Options {
        Options {
            url: self.plane.url(),
            tenant: self.session.tenant(),
            files: None,
            announce_steps: false,
            hold_after: None,
        }
    }

    /// Tells what happens to the workers, until a signal comes or the control plane fails.
    async fn run(&mut self, workers: &mut Workers) -> Result<(), Problem> {
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                problem = self.plane.failed() => return Err(problem),
                event = workers.next() => self.tell(&event)?,
            }
        }
    }

    fn tell(&self, event: &Event) -> Result<(), Problem> {
        match event {
            Event::Started { pid } => {
                self.teller.event(&json!({"event": "worker_started", "pid": pid}))?;
                self.say(&format!("worker {pid} started"))
            }
            Event::Died { pid, how } => {
                self.teller.event(&json!({"event": "worker_died", "pid": pid, "how": how}))?;
                self.say(&format!("worker {pid} died ({how}); another one is started"))
            }
            Event::Line(line) => self.say(&format!("worker says: {}", text::line(line))),
            Event::Failed(why) => Err(Problem::new(format!("no worker can be started: {why}"))),
        }
    }

    /// Stops the worker first: it gives back what it has, while somebody is there to take it.
    async fn stop(self, workers: Workers) -> Result<(), Problem> {
        self.shutdown.cancel();
        self.say("stopping")?;
        workers.stop().await;
        self.plane.stop().await
    }
}

/// Where runs are kept, for the control plane and for people.
fn database(url: Option<&str>) -> Result<(String, String), Problem> {
    let Some(url) = url else {
        let file = format!("{DATA}/tenure.db");
        std::fs::create_dir_all(DATA).map_err(|error| {
            Problem::file(Path::new(DATA), &error)
                .hint("start it in a directory that you may write to, or use --database-url")
        })?;
        return Ok((format!("sqlite:{file}"), file));
    };
    // A database's URL may hold a password.
    let scheme = url.split_once(':').map_or("a database", |(scheme, _)| scheme);
    Ok((url.to_owned(), format!("the {} database of --database-url", text::line(scheme))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_without_its_password() {
        let (url, place) = database(Some("postgres://me:secret@db/tenure")).unwrap();
        assert_eq!(url, "postgres://me:secret@db/tenure");
        assert_eq!(place, "the postgres database of --database-url");
    }
}
