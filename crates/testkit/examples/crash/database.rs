//! The database that the control planes share, and the server that it is on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::process::Command;

use crate::options;

/// Starts and restarts servers.
const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");

/// An empty database for one trial.
pub(crate) struct Database {
    /// Without proxies.
    url: String,
    server: Option<String>,
    owned: Option<PathBuf>,
}

impl Database {
    /// A file in this directory, or a database of its own on the server of the tests.
    pub(crate) async fn create(kind: options::Database, directory: &Path) -> anyhow::Result<Self> {
        let options::Database::Postgres = kind else {
            let url = format!("sqlite:{}", directory.join("tenure.db").display());
            return Ok(Self { url, server: None, owned: None });
        };
        let server = std::env::var("TENURE_TEST_DATABASE_URL")
            .context("TENURE_TEST_DATABASE_URL names no PostgreSQL server: use scripts/crash")?;
        let name = format!("tenure_crash_{}", std::process::id());
        execute(&server, format!("CREATE DATABASE {name}")).await?;
        let (base, _) = server.rsplit_once('/').context("the URL ends with a database")?;
        Ok(Self { url: format!("{base}/{name}"), owned: owned(), server: Some(server) })
    }

    /// Where the server listens, if there is one.
    pub(crate) fn target(&self) -> Option<String> {
        let address = self.address()?;
        let port = if address.contains(':') { "" } else { ":5432" };
        Some(format!("{address}{port}"))
    }

    /// The part of the URL that says so.
    fn address(&self) -> Option<&str> {
        self.server.as_ref()?;
        let (_, rest) = self.url.split_once("//")?;
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        rest.split_once('/').map(|(address, _)| address)
    }

    /// Its URL by way of a proxy; a file has none.
    pub(crate) fn through(&self, proxy: SocketAddr) -> String {
        match self.address() {
            Some(address) => self.url.replacen(address, &proxy.to_string(), 1),
            None => self.url.clone(),
        }
    }

    /// The server that may be killed: one that was started for this test.
    pub(crate) fn postgres(&self) -> Option<Postgres> {
        self.owned.clone().map(Postgres)
    }

    /// Drops it. A file goes with its directory, and a server of this test's own is thrown away.
    pub(crate) async fn drop(self) -> anyhow::Result<()> {
        let Some(server) = self.server.filter(|_| self.owned.is_none()) else { return Ok(()) };
        let (_, name) = self.url.rsplit_once('/').context("the URL ends with a database")?;
        execute(&server, format!("DROP DATABASE {name} WITH (FORCE)")).await
    }
}

/// Where `scripts/services` keeps the server, if it has started it.
fn owned() -> Option<PathBuf> {
    let directory = PathBuf::from(std::env::var_os("TENURE_SERVICES_DIR")?);
    directory.join("postgres").exists().then_some(directory)
}

async fn execute(server: &str, sql: String) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    // The name is made of digits and letters of ours.
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// A server of this test's own.
pub(crate) struct Postgres(PathBuf);

impl Postgres {
    /// Kills every process of it with SIGKILL, and starts it again.
    pub(crate) async fn crash(&self) -> anyhow::Result<()> {
        self.again("kill").await
    }

    /// Shuts it down as an operator does, breaking all connections, and starts it again.
    pub(crate) async fn restart(&self) -> anyhow::Result<()> {
        self.again("fast").await
    }

    async fn again(&self, how: &str) -> anyhow::Result<()> {
        let mut restart = Command::new(SERVICES);
        let restart = restart.args(["restart", how]).arg(&self.0).kill_on_drop(true);
        ensure!(restart.status().await?.success(), "PostgreSQL did not start again");
        Ok(())
    }
}
