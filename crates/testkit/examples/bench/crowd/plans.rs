//! Plans: what the statements that everything waits for read, whatever there is.

use anyhow::Context as _;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tenure_store::postgres;
use uuid::Uuid;

use crate::options::Section;
use crate::report::{Report, progress};
use crate::system::{CROWD, ONE};
use crate::task::AGENT;
use tenure_testkit::databases::Database;

/// The figure that says how many blocks a statement looks at, planned for its parameters.
pub(crate) const BLOCKS: &str = "blocks";
/// The same, planned for any parameters.
pub(crate) const BLOCKS_FOR_ANY: &str = "blocks, for any";

/// What a statement was planned and executed like.
struct Plan {
    blocks: f64,
    rows: f64,
    millis: f64,
    /// Tables of which each row was looked at.
    scans: Vec<String>,
}

/// Explains the statements, planned for their parameters and for any.
pub(crate) async fn report(
    database: &mut Database,
    section: Section,
    report: &mut Report,
) -> anyhow::Result<()> {
    for (name, arguments, what) in asked(&mut database.connection).await? {
        let db = &mut database.connection;
        let planned = explain(db, name, &arguments, "force_custom_plan").await?;
        let for_any = explain(db, name, &arguments, "force_generic_plan").await?;
        let row = format!("{}: {name}, {what}", database.side);
        for table in planned.scans.iter().chain(&for_any.scans) {
            progress(&format!("{row}: reads all of {table}"));
        }
        let values = vec![
            (BLOCKS, planned.blocks),
            (BLOCKS_FOR_ANY, for_any.blocks),
            ("rows", planned.rows),
            ("ms", planned.millis),
            ("ms, for any", for_any.millis),
        ];
        report.add(section, &row, values);
    }
    Ok(())
}

/// The statements with arguments as SQL, and what those mean.
async fn asked(db: &mut PgConnection) -> anyhow::Result<Vec<(&'static str, String, &'static str)>> {
    let find = "SELECT tenant_id FROM tenants WHERE name = $1";
    let crowd: Uuid = sqlx::query_scalar(find).bind(CROWD).fetch_one(&mut *db).await?;
    let one: Uuid = sqlx::query_scalar(find).bind(ONE).fetch_one(&mut *db).await?;
    let both = format!("ARRAY['{crowd}', '{one}']::uuid[], ARRAY['{AGENT}', '{AGENT}']");
    let last = "SELECT run_id FROM run_ready ORDER BY ready_at DESC LIMIT 1";
    let last: Option<Uuid> = sqlx::query_scalar(last).fetch_optional(db).await?;
    let last = last.unwrap_or_default();
    Ok(vec![
        ("find_ready", format!("{both}, 1"), "room for 1"),
        ("find_ready", format!("{both}, 500"), "room for 500"),
        ("lock_expired", "100".to_owned(), "a page"),
        ("lock_late", "100".to_owned(), "a page with one"),
        ("find_due", "100".to_owned(), "a page"),
        ("take_messages", "256, 10000000".to_owned(), "a page"),
        ("count_ahead", format!("'{crowd}', '{last}', 1000"), "up to 1,000"),
    ])
}

async fn explain(
    db: &mut PgConnection,
    name: &str,
    arguments: &str,
    mode: &str,
) -> anyhow::Result<Plan> {
    let statements = postgres::statements();
    let (_, sql) = statements.iter().find(|(known, _)| *known == name).context(name.to_owned())?;
    // The deadline of the newest run that is alive has passed; all is undone in the end. JIT is off
    // as it is for the store.
    let prepare = format!(
        "BEGIN; SET LOCAL jit = off; SET LOCAL plan_cache_mode = {mode};
         UPDATE runs SET deadline = tenure_now() - interval '1 second'
         WHERE run_id = (SELECT max(run_id::text)::uuid FROM runs WHERE ended_at IS NULL);
         PREPARE asked AS {sql}"
    );
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *db).await?;
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE asked({arguments})");
    let row = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_one(&mut *db).await?;
    let text: String = row.try_get_unchecked(0)?;
    sqlx::raw_sql("ROLLBACK; DEALLOCATE asked").execute(db).await?;
    let explained: Value = serde_json::from_str(&text)?;
    let plan = &explained[0]["Plan"];
    let count = |name: &str| plan[name].as_f64().unwrap_or_default();
    let mut scans = Vec::new();
    find_scans(plan, &mut scans);
    Ok(Plan {
        blocks: count("Shared Hit Blocks") + count("Shared Read Blocks"),
        rows: count("Actual Rows"),
        millis: explained[0]["Execution Time"].as_f64().unwrap_or_default(),
        scans,
    })
}

/// The tables of which all rows were looked at; small ones are read like that by right.
fn find_scans(plan: &Value, scans: &mut Vec<String>) {
    const SMALL: f64 = 1_000.0;
    let executed = plan["Actual Loops"].as_i64() != Some(0);
    let removed = plan["Rows Removed by Filter"].as_f64().unwrap_or_default();
    let rows = plan["Actual Rows"].as_f64().unwrap_or_default() + removed;
    if plan["Node Type"] == "Seq Scan" && executed && rows > SMALL {
        scans.push(plan["Relation Name"].as_str().unwrap_or_default().to_owned());
    }
    for below in plan["Plans"].as_array().into_iter().flatten() {
        find_scans(below, scans);
    }
}
