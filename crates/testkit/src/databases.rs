//! The PostgreSQL server, and the databases on it that are made for the measurements.

use anyhow::{Context as _, ensure};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row as _};

use crate::processor;

/// A server on which databases may be made.
pub struct Server {
    admin: PgConnection,
    /// Its URL without a database.
    base: String,
    /// What the names of its databases say they are for.
    purpose: &'static str,
    made: Vec<String>,
}

/// A database of its own for one side of a comparison.
pub struct Database {
    /// What side it is, for people.
    pub side: String,
    /// Its name on the server.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// For what is asked of it besides the control plane.
    pub connection: PgConnection,
}

/// What PostgreSQL has counted for a database since it was made.
pub struct Counted {
    /// Transactions, committed or not.
    pub transactions: i64,
    /// Rows that were read.
    pub rows: i64,
    /// Blocks that were looked at, whether they had to be read from a file or not.
    pub blocks: i64,
}

impl Server {
    /// The server that `TENURE_TEST_DATABASE_URL` names. What the databases are for is a word of
    /// letters.
    pub async fn connect(purpose: &'static str) -> anyhow::Result<Self> {
        let url = std::env::var("TENURE_TEST_DATABASE_URL")
            .context("TENURE_TEST_DATABASE_URL names no PostgreSQL server: use the script")?;
        let (base, _) = url.rsplit_once('/').context("the URL has no database at its end")?;
        let admin = PgConnection::connect(&url).await.context("the server cannot be reached")?;
        Ok(Self { base: base.to_owned(), admin, purpose, made: Vec::new() })
    }

    /// What figures depend on, for people.
    pub async fn describe(&mut self) -> anyhow::Result<String> {
        let settings = "SELECT current_setting('server_version'), current_setting('fsync'),
                               current_setting('synchronous_commit'),
                               current_setting('shared_buffers')";
        let row = sqlx::query(settings).fetch_one(&mut self.admin).await?;
        let [version, fsync, commit, buffers] =
            [0, 1, 2, 3].map(|column| row.get::<String, _>(column));
        let cores = std::thread::available_parallelism()?;
        let load = processor::load();
        Ok(format!(
            "PostgreSQL {version}, fsync {fsync}, synchronous_commit {commit}, \
             shared_buffers {buffers}; {cores} cores, load {load}"
        ))
    }

    /// Makes an empty database.
    pub async fn database(&mut self, side: String) -> anyhow::Result<Database> {
        let (purpose, number) = (self.purpose, self.made.len());
        let name = format!("tenure_{purpose}_{}_{number}", std::process::id());
        // The name is made of letters and digits of ours.
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut self.admin).await?;
        self.made.push(name.clone());
        let url = format!("{}/{name}", self.base);
        let connection = PgConnection::connect(&url).await?;
        Ok(Database { side, name, url, connection })
    }

    /// An error if a commit is acknowledged before it is on the disk.
    pub async fn is_durable(&mut self) -> anyhow::Result<()> {
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let query = sqlx::query_scalar("SELECT current_setting($1)").bind(setting);
            let value: String = query.fetch_one(&mut self.admin).await?;
            ensure!(value == "on", "the server has {setting} {value}: figures would be wrong");
        }
        Ok(())
    }

    /// Drops what was made.
    pub async fn drop_databases(&mut self) -> anyhow::Result<()> {
        for name in &self.made {
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            sqlx::query(AssertSqlSafe(drop)).execute(&mut self.admin).await?;
        }
        Ok(())
    }

    /// The process that all others of the server descend from.
    pub async fn postmaster(&mut self) -> anyhow::Result<u32> {
        let own: i32 =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut self.admin).await?;
        processor::parent(u32::try_from(own)?)
    }

    /// What was counted for a database.
    pub async fn counted(&mut self, database: &Database) -> anyhow::Result<Counted> {
        let counted = "SELECT xact_commit + xact_rollback, tup_returned, blks_read + blks_hit
                       FROM pg_stat_database WHERE datname = $1";
        let row = sqlx::query(counted).bind(&database.name).fetch_one(&mut self.admin).await?;
        Ok(Counted { transactions: row.get(0), rows: row.get(1), blocks: row.get(2) })
    }
}

impl Database {
    /// Runs statements of ours.
    pub async fn execute(&mut self, sql: String) -> anyhow::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Counts with a query of ours.
    pub async fn count(&mut self, sql: &'static str) -> anyhow::Result<usize> {
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut self.connection).await?;
        Ok(usize::try_from(count)?)
    }

    /// Does what the server would do by itself within minutes, so that it does not do it in the
    /// middle of a measurement.
    pub async fn settle(&mut self) -> anyhow::Result<()> {
        for sql in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
            sqlx::query(sql).execute(&mut self.connection).await?;
        }
        Ok(())
    }
}
