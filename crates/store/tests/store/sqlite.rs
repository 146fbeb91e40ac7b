//! What only SQLite has: a file that one process may open.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tenure_store::sqlite::SqliteStore;
use tenure_store::{Store, StoreError};

use crate::world::{START, TTL, World, asks, calls, question};

#[tokio::test]
async fn a_file_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("not/there/yet.db").display());
    let first = SqliteStore::open(&url).await.unwrap();
    let error = SqliteStore::open(&url).await.err().expect("a refusal");
    assert!(matches!(error, StoreError::File { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("yet.db: it is open in another process"), "{message}");
    drop(first);
    SqliteStore::open(&url).await.unwrap();
}

#[tokio::test]
async fn a_file_keeps_what_was_committed() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("tenure.db").display());
    let mut world = World::new(Arc::new(SqliteStore::open(&url).await.unwrap())).await;
    let run = world.create().await;
    drop(world);
    let store = SqliteStore::open(&url).await.unwrap();
    let found = store.find_run(run.tenant, run.id).await.unwrap().unwrap();
    assert_eq!(found.run, run);
}

#[tokio::test]
async fn a_file_is_read_while_a_transaction_is_open() {
    crate::database::on_file(|store| async move {
        let mut world = World::new(store).await;
        let created = world.new_run("default", START);
        let mut tx = world.store.begin().await.unwrap();
        tx.save(std::slice::from_ref(&created)).await.unwrap();
        let find = || world.store.find_run(world.tenant, created.run.id);
        assert_eq!(find().await.unwrap(), None);
        tx.commit().await.unwrap();
        assert!(find().await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn two_databases_in_memory_are_two() {
    let one = World::new(Arc::new(SqliteStore::open("sqlite::memory:").await.unwrap())).await;
    let two = SqliteStore::open("sqlite::memory:").await.unwrap();
    assert_eq!(one.store.list_tenants(None, 9).await.unwrap().len(), 1);
    assert_eq!(two.list_tenants(None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn bad_data_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenure.db");
    let store = SqliteStore::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let mut world = World::new(Arc::new(store)).await;
    let run = world.create().await;
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap();
    sqlx::query("UPDATE runs SET attempts = -1").execute(&mut connection).await.unwrap();
    let error = world.store.find_run(run.tenant, run.id).await.unwrap_err().to_string();
    let start = "table runs, column attempts, row tenant_id ";
    assert!(error.starts_with(start) && error.contains(&run.id.uuid().to_string()), "{error}");
}

#[tokio::test]
async fn a_sweep_and_a_claim_pass_over_bad_data() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenure.db");
    let store = SqliteStore::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let mut world = World::new(Arc::new(store)).await;
    let (bad, good) = (world.create_leased().await, world.create_leased().await);
    let (queued_bad, queued_good) = (world.create().await, world.create().await);
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap();
    let damage = "UPDATE runs SET attempts = -1 WHERE run_id = $1";
    for run in [bad.id, queued_bad.id] {
        sqlx::query(damage).bind(run.uuid()).execute(&mut connection).await.unwrap();
    }
    assert_eq!(world.ready(&["default"], 9).await, [queued_good.id]);
    world.store.set_clock(Some(START + TTL * 2)).await.unwrap();
    let (_, swept) = world.store.begin().await.unwrap().lock_expired(9).await.unwrap();
    assert_eq!(swept, [good]);
}

/// What is damaged is put off like the others, or it would be first in line for ever.
#[tokio::test]
async fn messages_and_questions_that_are_bad_data_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenure.db");
    let store = SqliteStore::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let mut world = World::new(Arc::new(store)).await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let run = world.create_leased().await;
        let records = vec![calls("call", false), asks("ask", question())];
        runs.push(world.commit(&run, records, None).await);
    }
    runs.sort_by_key(|run| run.id);
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap();
    for damage in [
        "UPDATE outbox SET detail = '{}' WHERE run_id = $1",
        "UPDATE interrupts SET decisions = '[\"maybe\"]' WHERE run_id = $1",
    ] {
        let query = sqlx::query(damage).bind(runs[0].id.uuid());
        query.execute(&mut connection).await.unwrap();
    }
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.take_messages(1, TTL).await.unwrap(), []);
    let taken = tx.take_messages(1, TTL).await.unwrap();
    assert_eq!(taken[0].run, runs[1].id);
    tx.commit().await.unwrap();
    world.store.set_clock(Some(START + TTL * 2)).await.unwrap();
    let mut tx = world.store.begin().await.unwrap();
    let (_, due) = tx.lock_due(9).await.unwrap();
    assert_eq!(due.iter().map(|(run, _)| run).collect::<Vec<_>>(), [&runs[1]]);
}
