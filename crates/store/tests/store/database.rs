//! Databases for tests.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tenure_store::postgres::PgStore;
use tenure_store::sqlite::SqliteStore;
use tokio::task::{LocalSet, spawn_local};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Runs a test on a new SQLite database in memory.
pub(crate) async fn on_memory<F: Future<Output = ()>>(test: impl FnOnce(Arc<SqliteStore>) -> F) {
    test(Arc::new(SqliteStore::open("sqlite::memory:").await.unwrap())).await;
}

/// Runs a test on a new SQLite database in a file.
pub(crate) async fn on_file<F: Future<Output = ()>>(test: impl FnOnce(Arc<SqliteStore>) -> F) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("tenure.db").display());
    test(Arc::new(SqliteStore::open(&url).await.unwrap())).await;
}

/// Runs a test on a new PostgreSQL database, which is dropped afterwards.
pub(crate) async fn on_postgres<F: Future<Output = ()> + 'static>(
    test: impl FnOnce(Arc<PgStore>) -> F + 'static,
) {
    on_postgres_url(async |url| test(Arc::new(PgStore::open(&url).await.unwrap())).await).await;
}

/// Runs a test with the URL of a new and empty PostgreSQL database, which is dropped afterwards.
pub(crate) async fn on_postgres_url(test: impl AsyncFnOnce(String) + 'static) {
    let server = std::env::var("TENURE_TEST_DATABASE_URL").expect(
        "TENURE_TEST_DATABASE_URL names no PostgreSQL server: run the tests by scripts/test",
    );
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tenure_store_{}_{number}", std::process::id());
    let mut admin = PgConnection::connect(&server).await.unwrap();
    execute(&mut admin, format!("CREATE DATABASE {name}")).await;

    let (base, _) = server.rsplit_once('/').unwrap();
    let url = format!("{base}/{name}");
    // In a task of its own, so that a panic leaves nothing behind.
    let tasks = LocalSet::new();
    let answer = tasks.run_until(async { spawn_local(async move { test(url).await }).await }).await;
    execute(&mut admin, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(error) = answer {
        resume_unwind(error.into_panic());
    }
}

/// Runs a statement that has no parameters.
async fn execute(connection: &mut PgConnection, sql: String) {
    sqlx::query(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}
