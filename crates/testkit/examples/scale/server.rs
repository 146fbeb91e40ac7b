//! The PostgreSQL server, and the databases on it that are made for the measurements.

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row as _};

use crate::processor;

/// A server on which databases may be made.
pub(crate) struct Server {
    admin: PgConnection,
    /// Its URL without a database.
    base: String,
    made: Vec<String>,
}

/// A database of its own for one side of a comparison.
pub(crate) struct Database {
    /// What side it is, for people.
    pub(crate) side: String,
    /// Its name on the server.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) url: String,
    /// For what is asked of it besides the control plane.
    pub(crate) connection: PgConnection,
}

/// What PostgreSQL has counted for a database since it was made.
pub(crate) struct Counted {
    /// Transactions, committed or not.
    pub(crate) transactions: i64,
    /// Rows that were read.
    pub(crate) rows: i64,
    /// Blocks that were looked at, whether they had to be read from a file or not.
    pub(crate) blocks: i64,
}

impl Server {
    /// The server of the tests.
    pub(crate) async fn connect() -> anyhow::Result<Self> {
        let url = std::env::var("TENURE_TEST_DATABASE_URL")
            .context("TENURE_TEST_DATABASE_URL names no PostgreSQL server: use scripts/scale")?;
        let (base, _) = url.rsplit_once('/').context("the URL has no database at its end")?;
        let admin = PgConnection::connect(&url).await.context("the server cannot be reached")?;
        Ok(Self { base: base.to_owned(), admin, made: Vec::new() })
    }

    /// What figures depend on, for people.
    pub(crate) async fn describe(&mut self) -> anyhow::Result<String> {
        let settings = "SELECT current_setting('server_version'), current_setting('fsync'),
                               current_setting('shared_buffers')";
        let row = sqlx::query(settings).fetch_one(&mut self.admin).await?;
        let [version, fsync, buffers] = [0, 1, 2].map(|column| row.get::<String, _>(column));
        let cores = std::thread::available_parallelism()?;
        let load = processor::load();
        Ok(format!(
            "PostgreSQL {version}, fsync {fsync}, shared_buffers {buffers}; {cores} cores, load {load}"
        ))
    }

    /// Makes an empty database.
    pub(crate) async fn database(&mut self, side: String) -> anyhow::Result<Database> {
        let name = format!("tenure_scale_{}_{}", std::process::id(), self.made.len());
        // The name is made of letters and digits of ours.
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut self.admin).await?;
        self.made.push(name.clone());
        let url = format!("{}/{name}", self.base);
        let connection = PgConnection::connect(&url).await?;
        Ok(Database { side, name, url, connection })
    }

    /// Drops what was made.
    pub(crate) async fn drop_databases(&mut self) -> anyhow::Result<()> {
        for name in &self.made {
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            sqlx::query(AssertSqlSafe(drop)).execute(&mut self.admin).await?;
        }
        Ok(())
    }

    /// The process that all others of the server descend from.
    pub(crate) async fn postmaster(&mut self) -> anyhow::Result<u32> {
        let own: i32 =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut self.admin).await?;
        processor::parent(u32::try_from(own)?)
    }

    /// What was counted for a database.
    pub(crate) async fn counted(&mut self, database: &Database) -> anyhow::Result<Counted> {
        let counted = "SELECT xact_commit + xact_rollback, tup_returned, blks_read + blks_hit
                       FROM pg_stat_database WHERE datname = $1";
        let row = sqlx::query(counted).bind(&database.name).fetch_one(&mut self.admin).await?;
        Ok(Counted { transactions: row.get(0), rows: row.get(1), blocks: row.get(2) })
    }
}

impl Database {
    /// Runs statements of ours.
    pub(crate) async fn execute(&mut self, sql: String) -> anyhow::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Counts with a query of ours.
    pub(crate) async fn count(&mut self, sql: &'static str) -> anyhow::Result<usize> {
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut self.connection).await?;
        Ok(usize::try_from(count)?)
    }

    /// Does what the server would do by itself within minutes, so that it does not do it in the
    /// middle of a measurement.
    pub(crate) async fn settle(&mut self) -> anyhow::Result<()> {
        for sql in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
            sqlx::query(sql).execute(&mut self.connection).await?;
        }
        Ok(())
    }
}
