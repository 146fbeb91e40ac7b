//! The database's clock.

use sqlx::{AssertSqlSafe, SqliteExecutor, SqlitePool};
use tenure_core::Timestamp;

use crate::Result;
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[NOW];

const NOW: &str = "-- now
SELECT now FROM tenure_clock";

pub(super) async fn now(db: impl SqliteExecutor<'_>) -> Result<Timestamp> {
    let row = sqlx::query(NOW).fetch_one(db).await?;
    Reader::new("tenure_clock", &row).time("now")
}

/// Replaces the one view that every statement takes the time from.
pub(super) async fn set(pool: &SqlitePool, at: Option<Timestamp>) -> Result<()> {
    let now = match at {
        None => "CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000".to_owned(),
        Some(at) => at.micros().to_string(),
    };
    // A definition takes no parameters; what is put into it is a number and nothing else.
    let sql = format!("CREATE VIEW tenure_clock (now) AS SELECT {now}");
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("DROP VIEW tenure_clock").execute(&mut *tx).await?;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}
