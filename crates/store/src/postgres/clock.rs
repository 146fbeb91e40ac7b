//! The database's clock.

use sqlx::{AssertSqlSafe, PgExecutor, PgPool};
use tenure_core::Timestamp;

use crate::Result;
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[NOW];

const NOW: &str = "-- now
SELECT tenure_now() AS now";

pub(super) async fn now(db: impl PgExecutor<'_>) -> Result<Timestamp> {
    let row = sqlx::query(NOW).fetch_one(db).await?;
    Reader::new("tenure_now", &row).time("now")
}

/// Replaces the one function that every statement takes the time from.
pub(super) async fn set(pool: &PgPool, at: Option<Timestamp>) -> Result<()> {
    let now = match at {
        None => "clock_timestamp()".to_owned(),
        Some(at) => format!("TIMESTAMPTZ '{at}'"),
    };
    // A definition takes no parameters; what is put into it is a time and nothing else.
    let sql = format!(
        "CREATE OR REPLACE FUNCTION tenure_now() RETURNS timestamptz
         LANGUAGE sql VOLATILE PARALLEL SAFE AS $$ SELECT {now} $$"
    );
    sqlx::query(AssertSqlSafe(sql)).execute(pool).await?;
    Ok(())
}
