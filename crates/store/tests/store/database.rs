//! Databases for tests.

use std::sync::Arc;

use tenure_store::postgres::PgStore;
use tenure_store::sqlite::SqliteStore;
use tenure_testkit::postgres::{add_checks, database};

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
    database(async |url| {
        let store = Arc::new(PgStore::open(&url).await.unwrap());
        add_checks(&url).await;
        test(store).await;
    })
    .await;
}
