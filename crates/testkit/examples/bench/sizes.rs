//! How large the tables of a database are.

use sqlx::Row as _;
use tenure_testkit::databases::Database;

use crate::report::Values;

/// Tables that keep what was done, so that they grow with it. All others are to stay as they are.
const RECORDS: [&str; 5] = ["runs", "run_inputs", "run_keys", "journal", "artifacts"];

/// All tables, by their names.
pub(crate) struct Sizes(Vec<Table>);

struct Table {
    name: String,
    /// With its indexes and whatever else belongs to it.
    bytes: f64,
    /// Rows that nobody can see any more.
    dead: f64,
}

impl Sizes {
    /// As they are now.
    pub(crate) async fn of(database: &mut Database) -> anyhow::Result<Self> {
        let sizes =
            "SELECT relname::text, pg_total_relation_size(relid)::float8, n_dead_tup::float8
                     FROM pg_stat_user_tables ORDER BY relname";
        let rows = sqlx::query(sizes).fetch_all(&mut database.connection).await?;
        let table = |row| {
            let row: sqlx::postgres::PgRow = row;
            Table { name: row.get(0), bytes: row.get(1), dead: row.get(2) }
        };
        Ok(Self(rows.into_iter().map(table).collect()))
    }

    /// Bytes of the tables that grow with what was done.
    pub(crate) fn records(&self) -> f64 {
        self.0.iter().filter(|table| table.is_record()).map(|table| table.bytes).sum()
    }

    /// Bytes of all others.
    pub(crate) fn queues(&self) -> f64 {
        self.others().map(|table| table.bytes).sum()
    }

    /// Dead rows in those.
    pub(crate) fn dead(&self) -> f64 {
        self.others().map(|table| table.dead).sum()
    }

    /// Each of them, for the report.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&str, Values)> {
        let values =
            |table: &Table| vec![("KiB", table.bytes / 1_024.0), ("dead rows", table.dead)];
        self.0.iter().map(move |table| (table.name.as_str(), values(table)))
    }

    fn others(&self) -> impl Iterator<Item = &Table> {
        self.0.iter().filter(|table| !table.is_record())
    }
}

impl Table {
    fn is_record(&self) -> bool {
        RECORDS.contains(&self.name.as_str())
    }
}
