//! Every statement is one that its database understands, with the schema as it is.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr, SqliteConnection};
use tenure_store::{postgres, sqlite};

#[tokio::test]
async fn sqlite_prepares_every_statement() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenure.db");
    let _store = sqlite::SqliteStore::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    for (name, sql) in sqlite::statements() {
        let prepared = connection.prepare(AssertSqlSafe(sql).into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {}", prepared.unwrap_err());
    }
}

#[tokio::test]
async fn postgres_prepares_every_statement() {
    tenure_testkit::postgres::database(async |url| {
        let _store = postgres::PgStore::open(&url).await.unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        for (name, sql) in postgres::statements() {
            let prepared = connection.prepare(AssertSqlSafe(sql).into_sql_str()).await;
            assert!(prepared.is_ok(), "{name}: {}", prepared.unwrap_err());
        }
    })
    .await;
}

#[test]
fn every_statement_has_a_name_of_its_own() {
    for statements in [sqlite::statements(), postgres::statements()] {
        let names: BTreeSet<_> = statements.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), statements.len());
        for (name, sql) in statements {
            assert!(sql.starts_with(&format!("-- {name}\n")), "{sql}");
        }
    }
}
