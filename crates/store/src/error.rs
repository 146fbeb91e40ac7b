//! What can go wrong in storage.

use std::path::PathBuf;

use tenure_core::Error;
use thiserror::Error as ThisError;

/// The result of a storage operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What can go wrong in storage. Clients never see these: they become a [`tenure_core::Error`].
#[derive(Debug, ThisError)]
pub enum StoreError {
    /// The database is away or out of capacity. The same may succeed later; whether a commit that
    /// failed like this took effect is unknown, and the idempotency of every command settles it.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// A guard beside the row lock did not hold: somebody wrote around the rules.
    #[error("{0}")]
    Conflict(String),
    /// A row holds what the rules never write.
    #[error("table {table}, column {column}, row {row}: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The statement itself failed: a bug, or a schema that is not ours.
    #[error("the database refused a statement: {0}")]
    Driver(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database schema could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database file cannot be used.
    #[error("the database file {}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The URL names neither PostgreSQL nor SQLite.
    #[error("a database URL starts with `postgres://` or `sqlite:`")]
    Url,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_passing(&error) { Self::Unavailable(error) } else { Self::Driver(error) }
    }
}

/// Whether the same may succeed later: no connection, or one of the passing SQLSTATE classes (08
/// connection, 40 rollback, 53 resources, 55 not in state, 57 operator) or SQLite's busy and locked.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            matches!(code.get(..2), Some("08" | "40" | "53" | "55" | "57") if code.len() == 5)
                || matches!(&*code, "5" | "6" | "261" | "262" | "517" | "13" | "10")
        }),
        _ => false,
    }
}

/// A conflict, if the error says that a key is taken: the row lock and the revision should have made
/// that impossible.
pub(crate) fn conflict_if_taken(error: sqlx::Error, what: &str) -> StoreError {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            StoreError::Conflict(format!("{what}: {database}"))
        }
        _ => error.into(),
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                Self::unavailable("the database is not reachable; try again", error)
            }
            StoreError::Conflict(_)
            | StoreError::Corrupt { .. }
            | StoreError::Driver(_)
            | StoreError::Migrate(_)
            | StoreError::File { .. }
            | StoreError::Url => Self::internal(error),
        }
    }
}
