//! What never changes cannot be changed with plain SQL either.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, PgConnection, SqliteConnection};
use tenure_core::{Answer, Decision, Interrupt, Payload, Question, Run};
use tenure_store::Store;
use tenure_store::postgres::PgStore;
use tenure_store::sqlite::SqliteStore;

use crate::world::{World, asks};

/// Each forbidden statement, and a part of the message that refuses it.
const FORBIDDEN: [(&str, &str); 7] = [
    ("UPDATE journal SET kind = 'step'", "a journal entry never changes"),
    ("UPDATE interrupts SET answer_reason = ''", "an interrupt ends once"),
    ("UPDATE interrupts SET state = 'open', ended_at = NULL", "an interrupt ends once"),
    ("DELETE FROM interrupts", "its run still exists"),
    ("UPDATE agent_versions SET pool = 'other'", "a version never changes"),
    ("DELETE FROM journal", "its run still exists"),
    ("DELETE FROM agent_versions", "a run points at the version"),
];

/// What retention does, in this order.
const ALLOWED: [&str; 4] = [
    "DELETE FROM runs",
    "DELETE FROM journal",
    "DELETE FROM interrupts",
    "DELETE FROM agent_versions",
];

async fn fill(store: Arc<dyn Store>) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let run = world.commit(&run, vec![asks("ask", Question::default())], None).await;
    let id = Interrupt::id_of(run.id, &"ask".parse().unwrap());
    let open = world.store.find_interrupt(run.tenant, id).await.unwrap().unwrap();
    let (decision, value) = (Decision::Approve, Payload::default());
    let answer = Answer { decision, value, reason: "é".into(), actor: "ann".into() };
    let resolve =
        |run: &Run, now| run.resolve(&open, answer, Payload::default(), now).unwrap().unwrap();
    world.act(&run, resolve).await;
}

#[tokio::test]
async fn sqlite_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenure.db");
    let store = SqliteStore::open(&format!("sqlite:{}", path.display())).await.unwrap();
    fill(Arc::new(store)).await;
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    for (sql, why) in FORBIDDEN {
        let error = sqlx::query(sql).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains(why), "{sql}: {error}");
    }
    for sql in ALLOWED {
        assert_eq!(sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected(), 1);
    }
}

#[tokio::test]
async fn postgres_refuses() {
    tenure_testkit::postgres::database(async |url| {
        fill(Arc::new(PgStore::open(&url).await.unwrap())).await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        for (sql, why) in FORBIDDEN {
            let error = sqlx::query(sql).execute(&mut connection).await.unwrap_err();
            assert!(error.to_string().contains(why), "{sql}: {error}");
        }
        for sql in ALLOWED {
            assert_eq!(sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected(), 1);
        }
    })
    .await;
}
