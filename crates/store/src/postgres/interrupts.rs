//! Interrupts: opened, found, and ended once (ANSWERED-ONCE).

use std::collections::{HashMap, HashSet};

use sqlx::{PgConnection, PgPool};
use tenure_core::{AgentId, Interrupt, InterruptId, Run, RunId, TenantId, Timestamp};
use uuid::Uuid;

use super::row::{Time, column, times};
use super::{clock, runs};
use crate::columns::{Changes, CloseColumns, EndColumns, InterruptColumns, limit as bound};
use crate::error::conflict_if_taken;
use crate::rows::Reader;
use crate::{InterruptFilter, Result, StoreError};

pub(super) const STATEMENTS: &[&str] =
    &[FIND, LIST, LIST_ALL, LIST_BY_RUN, READ, FIND_DUE, OPEN, END, CLOSE];

macro_rules! columns {
    () => {
        "tenant_id, interrupt_id, run_id, agent_id, key, kind, title, content_type, encoding,
       payload, schema, decisions::text AS decisions, assignee, timeout_micros, default_decision,
       opened_at, due_at, state, answer_decision, answer_type, answer_encoding, answer,
       answer_reason, answer_actor, ended_at"
    };
}

const FIND: &str = concat!(
    "-- find_interrupt
SELECT ",
    columns!(),
    " FROM interrupts
WHERE tenant_id = $1 AND interrupt_id = $2"
);

pub(super) async fn find(
    pool: &PgPool,
    tenant: TenantId,
    id: InterruptId,
) -> Result<Option<Interrupt>> {
    let query = sqlx::query(FIND).bind(tenant.uuid()).bind(id.uuid());
    let row = query.fetch_optional(pool).await?;
    row.map(|row| Reader::new("interrupts", &row).interrupt()).transpose()
}

/// A page of interrupts; `$filter` is the part of the condition that decides about the index.
macro_rules! list {
    ($name:literal, $filter:literal) => {
        concat!(
            $name,
            "
SELECT ",
            columns!(),
            " FROM interrupts
WHERE tenant_id = $1 AND (opened_at, interrupt_id) > ($2, $3) AND opened_at < $4
  AND ($6 OR state = 'open')
  AND ($7::uuid IS NULL OR agent_id = $7)
  AND ($8::uuid IS NULL OR run_id = $8)
  AND ($9::text IS NULL OR assignee = $9)",
            $filter,
            "
ORDER BY opened_at, interrupt_id LIMIT $5"
        )
    };
}

const LIST: &str = list!("-- list_interrupts", " AND state = 'open'");
const LIST_ALL: &str = list!("-- list_interrupts_all", "");
const LIST_BY_RUN: &str = list!("-- list_interrupts_by_run", " AND run_id = $8");

/// The statement for the index that leaves the least to look through.
fn list_by(filter: &InterruptFilter) -> &'static str {
    match (filter.run, filter.all) {
        (Some(_), _) => LIST_BY_RUN,
        (None, true) => LIST_ALL,
        (None, false) => LIST,
    }
}

pub(super) async fn list(
    pool: &PgPool,
    tenant: TenantId,
    filter: &InterruptFilter,
    after: Option<(Timestamp, InterruptId)>,
    limit: usize,
) -> Result<Vec<Interrupt>> {
    let (opened_at, id) = after.unwrap_or((Timestamp::default(), InterruptId::new(Uuid::nil())));
    let rows = sqlx::query(list_by(filter))
        .bind(tenant.uuid())
        .bind(Time(opened_at))
        .bind(id.uuid())
        .bind(Time(filter.opened_before.unwrap_or(Timestamp::from_micros(i64::MAX))))
        .bind(bound(limit))
        .bind(filter.all)
        .bind(filter.agent.map(AgentId::uuid))
        .bind(filter.run.map(RunId::uuid))
        .bind(filter.assignee.as_deref())
        .fetch_all(pool)
        .await?;
    rows.iter().map(|row| Reader::new("interrupts", row).interrupt()).collect()
}

const READ: &str = concat!(
    "-- read_interrupts
SELECT ",
    columns!(),
    " FROM interrupts JOIN unnest($1::uuid[], $2::uuid[]) AS asked (tenant_id, interrupt_id)
     USING (tenant_id, interrupt_id)"
);

pub(super) async fn read(
    db: &mut PgConnection,
    ids: &[(TenantId, InterruptId)],
) -> Result<Vec<Option<Interrupt>>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query(READ).bind(column(ids, |(tenant, _)| tenant.uuid()));
    let rows = query.bind(column(ids, |(_, id)| id.uuid())).fetch_all(db).await?;
    let mut found = HashMap::new();
    for row in &rows {
        let interrupt = Reader::new("interrupts", row).interrupt()?;
        found.insert((interrupt.tenant, interrupt.id), interrupt);
    }
    Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
}

const FIND_DUE: &str = concat!(
    "-- find_due
SELECT ",
    columns!(),
    " FROM interrupts
WHERE state = 'open' AND due_at <= (SELECT tenure_now())
ORDER BY due_at, tenant_id, interrupt_id LIMIT $1"
);

pub(super) async fn lock_due(
    db: &mut PgConnection,
    limit: usize,
) -> Result<(Timestamp, Vec<(Run, Interrupt)>)> {
    let due = find_due(db, limit).await?;
    if due.is_empty() {
        return Ok((clock::now(db).await?, Vec::new()));
    }
    let asked: Vec<_> = due.iter().map(|due| (due.tenant, due.run)).collect();
    let (now, locked) = runs::lock_readable_rows(db, &asked).await?;
    let mut locked: HashMap<_, _> =
        locked.into_iter().map(|run| ((run.tenant, run.id), run)).collect();
    // Read again, now that their runs are locked: they may have been answered before that.
    let ids: Vec<_> = due.iter().map(|due| (due.tenant, due.id)).collect();
    let still = read(db, &ids).await?.into_iter().flatten();
    let pair = |due: Interrupt| Some((locked.remove(&(due.tenant, due.run))?, due));
    let open = still.filter(|due| due.state == tenure_core::InterruptState::Open);
    Ok((now, open.filter_map(pair).collect()))
}

/// The first interrupts that are due, one for each run.
async fn find_due(db: &mut PgConnection, limit: usize) -> Result<Vec<Interrupt>> {
    let rows = sqlx::query(FIND_DUE).bind(bound(limit)).fetch_all(db).await?;
    let due = rows.iter().filter_map(|row| Reader::new("interrupts", row).interrupt_if_readable());
    let mut runs = HashSet::new();
    Ok(due.filter(|due| runs.insert((due.tenant, due.run))).collect())
}

/// Writes what happened to interrupts, in the order in which one transition may cause it.
pub(super) async fn save(db: &mut PgConnection, changes: &Changes<'_>) -> Result<()> {
    if !changes.opened.is_empty() {
        open(db, &changes.opened).await?;
    }
    if !changes.ended.is_empty() {
        end(db, &changes.ended).await?;
    }
    if !changes.closed.is_empty() {
        close(db, &changes.closed).await?;
    }
    Ok(())
}

const OPEN: &str = "-- open_interrupts
INSERT INTO interrupts (tenant_id, interrupt_id, run_id, agent_id, key, kind, title, content_type,
    encoding, payload, schema, decisions, assignee, timeout_micros, default_decision, opened_at,
    due_at, state)
SELECT tenant_id, interrupt_id, run_id, agent_id, key, kind, title, content_type, encoding, payload,
    schema, decisions::jsonb, assignee, timeout_micros, default_decision, opened_at, due_at, 'open'
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::bytea[], $11::text[], $12::text[], $13::text[], $14::bigint[],
    $15::text[], $16::timestamptz[], $17::timestamptz[])
    AS new (tenant_id, interrupt_id, run_id, agent_id, key, kind, title, content_type, encoding,
    payload, schema, decisions, assignee, timeout_micros, default_decision, opened_at, due_at)";

async fn open(db: &mut PgConnection, rows: &[InterruptColumns<'_>]) -> Result<()> {
    sqlx::query(OPEN)
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.interrupt_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.agent_id))
        .bind(column(rows, |row| row.key))
        .bind(column(rows, |row| row.kind))
        .bind(column(rows, |row| row.title))
        .bind(column(rows, |row| row.payload.content_type))
        .bind(column(rows, |row| row.payload.encoding))
        .bind(column(rows, |row| row.payload.data))
        .bind(column(rows, |row| row.schema))
        .bind(column(rows, |row| row.decisions.as_str()))
        .bind(column(rows, |row| row.assignee))
        .bind(column(rows, |row| row.timeout_micros))
        .bind(column(rows, |row| row.default_decision))
        .bind(column(rows, |row| Time(row.opened_at)))
        .bind(times(rows, |row| row.due_at))
        .execute(db)
        .await
        .map_err(|error| conflict_if_taken(error, "a key was opened before"))?;
    Ok(())
}

// The run's lock keeps two answers apart; that the row is open is the second guard.
const END: &str = "-- end_interrupts
UPDATE interrupts SET state = new.state, answer_decision = new.answer_decision,
    answer_type = new.answer_type, answer_encoding = new.answer_encoding, answer = new.answer,
    answer_reason = new.answer_reason, answer_actor = new.answer_actor, ended_at = new.ended_at
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[],
    $8::text[], $9::text[], $10::timestamptz[])
    AS new (tenant_id, interrupt_id, state, answer_decision, answer_type, answer_encoding, answer,
    answer_reason, answer_actor, ended_at)
WHERE interrupts.tenant_id = new.tenant_id AND interrupts.interrupt_id = new.interrupt_id
  AND interrupts.state = 'open'";

async fn end(db: &mut PgConnection, rows: &[EndColumns<'_>]) -> Result<()> {
    let done = sqlx::query(END)
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.interrupt_id))
        .bind(column(rows, |row| row.state))
        .bind(column(rows, |row| row.answer_decision))
        .bind(column(rows, |row| row.answer.content_type))
        .bind(column(rows, |row| row.answer.encoding))
        .bind(column(rows, |row| row.answer.data))
        .bind(column(rows, |row| row.answer_reason))
        .bind(column(rows, |row| row.answer_actor))
        .bind(times(rows, |row| row.ended_at))
        .execute(db)
        .await?;
    let (ended, asked) = (done.rows_affected(), rows.len());
    if ended == asked as u64 {
        return Ok(());
    }
    Err(StoreError::Conflict(format!("{ended} of {asked} interrupts were open")))
}

const CLOSE: &str = "-- close_interrupts
UPDATE interrupts SET state = 'closed', ended_at = new.ended_at
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS new (tenant_id, run_id, ended_at)
WHERE interrupts.tenant_id = new.tenant_id AND interrupts.run_id = new.run_id
  AND interrupts.state = 'open'";

async fn close(db: &mut PgConnection, rows: &[CloseColumns]) -> Result<()> {
    sqlx::query(CLOSE)
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| Time(row.ended_at)))
        .execute(db)
        .await?;
    Ok(())
}
