//! How SQLite's types are read and bound.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tenure_core::{StateName, Timestamp};
use uuid::Uuid;

use crate::rows::Columns;

/// A time as this database keeps it.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.micros()
}

impl Columns for SqliteRow {
    fn id(&self, column: &str) -> sqlx::Result<Option<Uuid>> {
        self.try_get(column)
    }

    fn int(&self, column: &str) -> sqlx::Result<Option<i64>> {
        self.try_get(column)
    }

    fn flag(&self, column: &str) -> sqlx::Result<Option<bool>> {
        self.try_get(column)
    }

    fn text(&self, column: &str) -> sqlx::Result<Option<String>> {
        self.try_get(column)
    }

    fn bytes(&self, column: &str) -> sqlx::Result<Option<Vec<u8>>> {
        self.try_get(column)
    }

    fn time(&self, column: &str) -> sqlx::Result<Option<Timestamp>> {
        Ok(self.int(column)?.map(Timestamp::from_micros))
    }
}

/// States for `json_each`, this database's `unnest`.
pub(super) fn states(states: &[StateName]) -> String {
    states.iter().map(|state| state.as_str()).collect::<serde_json::Value>().to_string()
}
