//! Interrupts: opened, found, and ended once (ANSWERED-ONCE).

use std::collections::HashSet;

use sqlx::{SqliteConnection, SqliteExecutor, SqlitePool};
use tenure_core::{AgentId, Interrupt, InterruptId, Run, RunId, TenantId, Timestamp};
use uuid::Uuid;

use super::row::micros;
use super::{clock, runs};
use crate::columns::{Changes, CloseColumns, EndColumns, InterruptColumns, limit as bound};
use crate::error::conflict_if_taken;
use crate::rows::Reader;
use crate::{InterruptFilter, Result, StoreError};

pub(super) const STATEMENTS: &[&str] =
    &[FIND, LIST, LIST_ALL, LIST_BY_RUN, FIND_DUE, OPEN, END, CLOSE];

macro_rules! columns {
    () => {
        "tenant_id, interrupt_id, run_id, agent_id, key, kind, title, content_type, encoding,
       payload, schema, decisions, assignee, timeout_micros, default_decision,
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
    db: impl SqliteExecutor<'_>,
    tenant: TenantId,
    id: InterruptId,
) -> Result<Option<Interrupt>> {
    let query = sqlx::query(FIND).bind(tenant.uuid()).bind(id.uuid());
    let row = query.fetch_optional(db).await?;
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
  AND ($7 IS NULL OR agent_id = $7)
  AND ($8 IS NULL OR run_id = $8)
  AND ($9 IS NULL OR assignee = $9)",
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
    pool: &SqlitePool,
    tenant: TenantId,
    filter: &InterruptFilter,
    after: Option<(Timestamp, InterruptId)>,
    limit: usize,
) -> Result<Vec<Interrupt>> {
    let (opened_at, id) = after.unwrap_or((Timestamp::default(), InterruptId::new(Uuid::nil())));
    let rows = sqlx::query(list_by(filter))
        .bind(tenant.uuid())
        .bind(micros(opened_at))
        .bind(id.uuid())
        .bind(filter.opened_before.map_or(i64::MAX, micros))
        .bind(bound(limit))
        .bind(filter.all)
        .bind(filter.agent.map(AgentId::uuid))
        .bind(filter.run.map(RunId::uuid))
        .bind(filter.assignee.as_deref())
        .fetch_all(pool)
        .await?;
    rows.iter().map(|row| Reader::new("interrupts", row).interrupt()).collect()
}

pub(super) async fn read(
    db: &mut SqliteConnection,
    ids: &[(TenantId, InterruptId)],
) -> Result<Vec<Option<Interrupt>>> {
    let mut found = Vec::with_capacity(ids.len());
    for (tenant, id) in ids {
        found.push(find(&mut *db, *tenant, *id).await?);
    }
    Ok(found)
}

const FIND_DUE: &str = concat!(
    "-- find_due
SELECT ",
    columns!(),
    " FROM interrupts
WHERE state = 'open' AND due_at <= (SELECT now FROM tenure_clock)
ORDER BY due_at, tenant_id, interrupt_id LIMIT $1"
);

pub(super) async fn lock_due(
    db: &mut SqliteConnection,
    limit: usize,
) -> Result<(Timestamp, Vec<(Run, Interrupt)>)> {
    let mut locked = Vec::new();
    for due in find_due(db, limit).await? {
        match runs::lock_row(db, due.tenant, due.run).await {
            Ok(run) => locked.extend(run.map(|run| (run, due))),
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "passing over a run");
            }
            Err(error) => return Err(error),
        }
    }
    Ok((clock::now(db).await?, locked))
}

/// The first interrupts that are due, one for each run.
async fn find_due(db: &mut SqliteConnection, limit: usize) -> Result<Vec<Interrupt>> {
    let rows = sqlx::query(FIND_DUE).bind(bound(limit)).fetch_all(db).await?;
    let due = rows.iter().filter_map(|row| Reader::new("interrupts", row).interrupt_if_readable());
    let mut runs = HashSet::new();
    Ok(due.filter(|due| runs.insert((due.tenant, due.run))).collect())
}

/// Writes what happened to interrupts, in the order in which one transition may cause it.
pub(super) async fn save(db: &mut SqliteConnection, changes: &Changes<'_>) -> Result<()> {
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

const OPEN: &str = "-- open_interrupt
INSERT INTO interrupts (tenant_id, interrupt_id, run_id, agent_id, key, kind, title, content_type,
    encoding, payload, schema, decisions, assignee, timeout_micros, default_decision, opened_at,
    due_at, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 'open')";

async fn open(db: &mut SqliteConnection, rows: &[InterruptColumns<'_>]) -> Result<()> {
    for row in rows {
        sqlx::query(OPEN)
            .bind(row.tenant_id)
            .bind(row.interrupt_id)
            .bind(row.run_id)
            .bind(row.agent_id)
            .bind(row.key)
            .bind(row.kind)
            .bind(row.title)
            .bind(row.payload.content_type)
            .bind(row.payload.encoding)
            .bind(row.payload.data)
            .bind(row.schema)
            .bind(row.decisions.as_str())
            .bind(row.assignee)
            .bind(row.timeout_micros)
            .bind(row.default_decision)
            .bind(micros(row.opened_at))
            .bind(row.due_at.map(micros))
            .execute(&mut *db)
            .await
            .map_err(|error| conflict_if_taken(error, "a key was opened before"))?;
    }
    Ok(())
}

// The write lock keeps two answers apart; that the row is open is the second guard.
const END: &str = "-- end_interrupt
UPDATE interrupts SET state = $3, answer_decision = $4, answer_type = $5, answer_encoding = $6,
    answer = $7, answer_reason = $8, answer_actor = $9, ended_at = $10
WHERE tenant_id = $1 AND interrupt_id = $2 AND state = 'open'";

async fn end(db: &mut SqliteConnection, rows: &[EndColumns<'_>]) -> Result<()> {
    let (mut ended, asked) = (0, rows.len());
    for row in rows {
        let done = sqlx::query(END)
            .bind(row.tenant_id)
            .bind(row.interrupt_id)
            .bind(row.state)
            .bind(row.answer_decision)
            .bind(row.answer.content_type)
            .bind(row.answer.encoding)
            .bind(row.answer.data)
            .bind(row.answer_reason)
            .bind(row.answer_actor)
            .bind(row.ended_at.map(micros))
            .execute(&mut *db)
            .await?;
        ended += done.rows_affected();
    }
    if ended == asked as u64 {
        return Ok(());
    }
    Err(StoreError::Conflict(format!("{ended} of {asked} interrupts were open")))
}

const CLOSE: &str = "-- close_interrupts
UPDATE interrupts SET state = 'closed', ended_at = $3
WHERE tenant_id = $1 AND run_id = $2 AND state = 'open'";

async fn close(db: &mut SqliteConnection, rows: &[CloseColumns]) -> Result<()> {
    for row in rows {
        sqlx::query(CLOSE)
            .bind(row.tenant_id)
            .bind(row.run_id)
            .bind(micros(row.ended_at))
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}
