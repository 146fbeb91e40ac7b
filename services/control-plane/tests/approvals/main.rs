//! Approvals with real processes: two tool calls wait for people at the same time, one is approved,
//! the worker and the control plane are killed, and the other one is approved as something else.
//!
//! This program is the tests, and with `TENURE_TEST_WORKER` in its environment it is their worker.

mod agent;
mod desk;
mod story;

use libtest_mimic::{Arguments, Failed, Trial};
use story::Database;
use tokio::runtime::Runtime;

use crate::agent::Killed;

fn main() -> anyhow::Result<()> {
    if let Ok(url) = std::env::var(agent::URL) {
        return Runtime::new()?.block_on(agent::work(&url));
    }
    let tests = vec![
        test("on_sqlite_while_the_run_is_parked", Database::Sqlite, Killed::Parked),
        test("on_sqlite_while_a_step_is_executed", Database::Sqlite, Killed::AtWork),
        test("on_postgres_while_the_run_is_parked", Database::Postgres, Killed::Parked),
        test("on_postgres_while_a_step_is_executed", Database::Postgres, Killed::AtWork),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit()
}

/// The story with the worker killed in this moment.
fn test(name: &str, database: Database, killed: Killed) -> Trial {
    let name = format!("approved_tools_run_once_whoever_dies::{name}");
    let told = move || Runtime::new()?.block_on(story::approved_tools_run_once(database, killed));
    Trial::test(name, move || told().map_err(|error| Failed::from(format!("{error:#}"))))
}
