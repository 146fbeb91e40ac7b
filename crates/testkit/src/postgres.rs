//! A PostgreSQL database of a test's own.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::{LocalSet, spawn_local};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Runs a test with the URL of a new and empty database on the server that
/// `TENURE_TEST_DATABASE_URL` names, and gives what it gives; afterwards the database is dropped, also
/// if the test panics.
///
/// A missing variable is a failure, never a skipped test: `scripts/test` sets it.
pub async fn database<T: 'static>(test: impl AsyncFnOnce(String) -> T + 'static) -> T {
    let server = std::env::var("TENURE_TEST_DATABASE_URL").expect(
        "TENURE_TEST_DATABASE_URL names no PostgreSQL server: run the tests by scripts/test",
    );
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tenure_test_{}_{number}", std::process::id());
    let mut admin = PgConnection::connect(&server).await.expect("the server can be reached");
    execute(&mut admin, format!("CREATE DATABASE {name}")).await;

    let (base, _) = server.rsplit_once('/').expect("the URL ends with a database");
    let url = format!("{base}/{name}");
    // In a task of its own, so that a panic leaves nothing behind.
    let tasks = LocalSet::new();
    let answer = tasks.run_until(async { spawn_local(async move { test(url).await }).await }).await;
    execute(&mut admin, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    answer.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// Adds the checks of the hot tables to a schema that is in place.
pub async fn add_checks(url: &str) {
    let mut connection = PgConnection::connect(url).await.expect("the database can be reached");
    let done = sqlx::raw_sql(include_str!("postgres/checks.sql")).execute(&mut connection).await;
    done.expect("the schema is in place and has no checks yet");
}

async fn execute(connection: &mut PgConnection, sql: String) {
    // The name is made of digits and letters of ours.
    let done = sqlx::query(AssertSqlSafe(sql)).execute(connection).await;
    done.expect("the role may create and drop databases");
}
