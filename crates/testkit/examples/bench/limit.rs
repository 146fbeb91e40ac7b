//! The limit: what the database and the wire cost by themselves.

mod bare;

use tenure_testkit::databases::Server;

use crate::options::{Plan, Section};
use crate::report::{Report, Values, progress};
use crate::seen::Quantiles;
use crate::site::Stage;
pub(crate) use bare::Postgres;
use bare::{Echo, Sqlite};

/// Clients that commit at once.
const MANY: usize = 32;
/// Rows that one statement inserts.
const ROWS: usize = 500;

/// What some calls came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called {
    pub(crate) times: Quantiles,
    pub(crate) seconds: f64,
}

/// Measures everything, round by round.
pub(crate) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let postgres = postgres(&mut stage.server).await?;
    let sqlite = Sqlite::open(&stage.logs.join("limit.db")).await?;
    let floor = stage.floor("limit-floor").await?;
    let echo = Echo::connect(&floor.url).await?;
    let seconds = f64::from(plan.seconds()) / 2.0;
    for round in 1..=plan.rounds() {
        let rows = [
            ("PostgreSQL, a row, 1 client", postgres.commits(1, seconds).await?, 1),
            ("PostgreSQL, a row, 32 clients", postgres.commits(MANY, seconds).await?, 1),
            ("PostgreSQL, 500 rows, 1 client", postgres.batches(1, ROWS, seconds).await?, ROWS),
            ("PostgreSQL, 500 rows, 2 clients", postgres.batches(2, ROWS, seconds).await?, ROWS),
            ("SQLite, a row, 1 client", sqlite.commits(seconds).await?, 1),
            ("SQLite, 500 rows, 1 client", sqlite.batches(ROWS, seconds).await?, ROWS),
            ("gRPC echo, 1 client", echo.calls(seconds).await?, 0),
        ];
        for (row, called, rows) in rows {
            progress(&format!("limit, round {round}, {row}: p50 {:.0} µs", called.times.p50));
            report.add(Section::Limit, row, called.values(rows));
        }
    }
    Ok(())
}

/// A database with a bare table.
pub(crate) async fn postgres(server: &mut Server) -> anyhow::Result<Postgres> {
    let database = server.database("bare".to_owned()).await?;
    Postgres::open(&database.url).await
}

impl Called {
    #[expect(clippy::cast_precision_loss, reason = "far below where digits are lost")]
    fn values(&self, rows: usize) -> Values {
        let calls = self.times.count as f64 / self.seconds;
        let mut values = self.latency();
        values.extend([("calls/s", calls), ("rows/s", calls * rows as f64)]);
        values
    }

    /// How long a call took.
    pub(crate) fn latency(&self) -> Values {
        latency(&self.times)
    }
}

/// Times as figures of a report.
pub(crate) fn latency(times: &Quantiles) -> Values {
    vec![
        ("p50 ms", times.p50 / 1_000.0),
        ("p90 ms", times.p90 / 1_000.0),
        ("p99 ms", times.p99 / 1_000.0),
    ]
}
