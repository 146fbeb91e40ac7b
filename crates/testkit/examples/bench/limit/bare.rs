//! Clients of a bare table, and of a call that does nothing.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};
use tonic::transport::Channel;

use super::Called;
use crate::floor;
use crate::floor::wire::EchoRequest;
use crate::floor::wire::floor_client::FloorClient;
use crate::seen::{Times, locked};
use crate::task::filler;
use crate::throughput::BYTES;

/// A table in PostgreSQL.
pub(crate) struct Postgres {
    url: String,
}

/// A table in SQLite, as the product has it: each commit is on the disk.
pub(super) struct Sqlite(SqlitePool);

/// A call that gives back what it got.
pub(super) struct Echo(FloorClient<Channel>);

impl Postgres {
    /// In an empty database.
    pub(super) async fn open(url: &str) -> anyhow::Result<Self> {
        let table = "CREATE TABLE bare (id bigserial PRIMARY KEY, payload bytea NOT NULL)";
        connect(url).await?.batch_execute(table).await?;
        Ok(Self { url: url.to_owned() })
    }

    /// Commits of one row, by so many clients at once.
    pub(crate) async fn commits(&self, clients: usize, seconds: f64) -> anyhow::Result<Called> {
        self.inserts(clients, None, seconds).await
    }

    /// Commits of many rows, by so many clients at once.
    pub(super) async fn batches(
        &self,
        clients: usize,
        rows: usize,
        seconds: f64,
    ) -> anyhow::Result<Called> {
        self.inserts(clients, Some(rows), seconds).await
    }

    async fn inserts(
        &self,
        clients: usize,
        rows: Option<usize>,
        seconds: f64,
    ) -> anyhow::Result<Called> {
        let mut connected = Vec::new();
        for _ in 0..clients {
            connected.push(connect(&self.url).await?);
        }
        let times = Arc::new(Mutex::new(Times::new()));
        let (began, mut working) = (Instant::now(), JoinSet::new());
        for client in connected {
            let times = times.clone();
            working.spawn(insert(client, rows, seconds, times));
        }
        for done in working.join_all().await {
            done?;
        }
        Ok(called(&times, began))
    }
}

impl Sqlite {
    /// In a new file.
    pub(super) async fn open(path: &Path) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        let table = "CREATE TABLE bare (id INTEGER PRIMARY KEY, payload BLOB NOT NULL)";
        sqlx::query(table).execute(&pool).await?;
        Ok(Self(pool))
    }

    /// Commits of one row.
    pub(super) async fn commits(&self, seconds: f64) -> anyhow::Result<Called> {
        self.inserts("INSERT INTO bare (payload) VALUES ($1)", filler(BYTES), seconds).await
    }

    /// Commits of many rows.
    pub(super) async fn batches(&self, rows: usize, seconds: f64) -> anyhow::Result<Called> {
        let all = serde_json::to_string(&vec![filler(BYTES); rows])?;
        let insert = "INSERT INTO bare (payload) SELECT value FROM json_each($1)";
        self.inserts(insert, all, seconds).await
    }

    async fn inserts(
        &self,
        sql: &'static str,
        parameter: String,
        seconds: f64,
    ) -> anyhow::Result<Called> {
        let (times, began) = (Mutex::new(Times::new()), Instant::now());
        let insert = || async {
            sqlx::query(sql).bind(&parameter).execute(&self.0).await?;
            anyhow::Ok(())
        };
        again(seconds, &times, insert).await?;
        Ok(called(&times, began))
    }
}

impl Echo {
    /// Of the bare reference that listens here.
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        Ok(Self(floor::connect(url).await?))
    }

    /// Calls, one after the other.
    pub(super) async fn calls(&self, seconds: f64) -> anyhow::Result<Called> {
        let (times, began) = (Mutex::new(Times::new()), Instant::now());
        let data = bytes::Bytes::from(filler(BYTES));
        let call = || async {
            self.0.clone().echo(EchoRequest { data: data.clone() }).await?;
            anyhow::Ok(())
        };
        again(seconds, &times, call).await?;
        Ok(called(&times, began))
    }
}

/// Inserts rows, so many at a time; without a number one alone.
async fn insert(
    client: Client,
    rows: Option<usize>,
    seconds: f64,
    times: Arc<Mutex<Times>>,
) -> anyhow::Result<()> {
    let payload = filler(BYTES).into_bytes();
    let Some(rows) = rows else {
        let statement = client.prepare("INSERT INTO bare (payload) VALUES ($1)").await?;
        let one = || async { Ok(client.execute(&statement, &[&payload]).await.map(drop)?) };
        return again(seconds, &times, one).await;
    };
    let many = "INSERT INTO bare (payload) SELECT unnest($1::bytea[])";
    let (statement, rows) = (client.prepare(many).await?, vec![payload; rows]);
    let many = || async { Ok(client.execute(&statement, &[&rows]).await.map(drop)?) };
    again(seconds, &times, many).await
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Calls one after the other for so long.
async fn again<F>(seconds: f64, times: &Mutex<Times>, call: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end {
        let began = Instant::now();
        call().await?;
        locked(times).record(began.elapsed());
    }
    Ok(())
}

fn called(times: &Mutex<Times>, began: Instant) -> Called {
    Called { times: locked(times).quantiles(), seconds: began.elapsed().as_secs_f64() }
}
