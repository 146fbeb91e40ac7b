//! The queue: which runs of a pool are ready.
//!
//! The runs of a pool stand in lines, one for each lane and rank, each in the order of time. What
//! is next is at the front of one of them: the front rows of all lines are read, and no others.

use sqlx::{PgConnection, PgPool};
use tenure_core::queue::Ready;
use tenure_core::{Name, Run, RunId, TenantId, Timestamp};

use super::row::{Time, column};
use super::save::Query;
use super::statement::Part;
use super::{clock, runs};
use crate::Result;
use crate::columns::{ReadyColumns, limit as bound};
use crate::rows::Reader;

pub(super) const STATEMENTS: &[&str] = &[FIND_READY, COUNT_AHEAD, DROP_STALE];

// The lines are found by skipping from one to the next in the index, however long they are. What is
// not due yet is behind what is, and never read.
const FIND_READY: &str = "-- find_ready
WITH RECURSIVE places AS (
    SELECT DISTINCT tenant_id, pool FROM unnest($1::uuid[], $2::text[]) AS asked (tenant_id, pool)
), lines AS (
    SELECT line.* FROM places CROSS JOIN LATERAL (
        SELECT tenant_id, pool, lane, rank FROM run_ready
        WHERE run_ready.tenant_id = places.tenant_id AND run_ready.pool = places.pool
        ORDER BY lane, rank LIMIT 1
    ) AS line
    UNION ALL
    SELECT line.* FROM lines CROSS JOIN LATERAL (
        SELECT tenant_id, pool, lane, rank FROM run_ready
        WHERE run_ready.tenant_id = lines.tenant_id AND run_ready.pool = lines.pool
          AND (run_ready.lane, run_ready.rank) > (lines.lane, lines.rank)
        ORDER BY lane, rank LIMIT 1
    ) AS line
)
SELECT ready.tenant_id, ready.run_id,
       coalesce(agents.agent_id, '00000000-0000-0000-0000-000000000000') AS lane,
       lines.rank::bigint AS rank, ready.ready_at
FROM lines CROSS JOIN LATERAL (
    SELECT tenant_id, run_id, agent_id, ready_at FROM run_ready
    WHERE run_ready.tenant_id = lines.tenant_id AND run_ready.pool = lines.pool
      AND run_ready.lane = lines.lane AND run_ready.rank = lines.rank
      AND ready_at <= (SELECT tenure_now())
    ORDER BY ready_at, run_id LIMIT $3
) AS ready
-- Not the row's lane: a run that was on its way into the queue when the cap was set has the old one.
LEFT JOIN agents ON agents.tenant_id = ready.tenant_id AND agents.agent_id = ready.agent_id
                AND agents.max_running IS NOT NULL
ORDER BY lines.rank, ready.ready_at, ready.run_id";

pub(super) async fn find_ready(
    db: &mut PgConnection,
    places: &[(TenantId, Name)],
    limit: usize,
) -> Result<Vec<Ready>> {
    let rows = sqlx::query(FIND_READY)
        .bind(column(places, |(tenant, _)| tenant.uuid()))
        .bind(column(places, |(_, pool)| pool.as_str()))
        .bind(bound(limit))
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| Reader::new("run_ready", row).ready()).collect()
}

// Ahead is what is more urgent and ready by the time that this run is, and what is as urgent and
// ready before it.
const COUNT_AHEAD: &str = "-- count_ahead
WITH RECURSIVE own AS (
    SELECT pool, rank, ready_at, run_id FROM run_ready WHERE tenant_id = $1 AND run_id = $2
), lines AS (
    SELECT line.* FROM own CROSS JOIN LATERAL (
        SELECT lane, rank FROM run_ready
        WHERE tenant_id = $1 AND run_ready.pool = own.pool
        ORDER BY lane, rank LIMIT 1
    ) AS line
    UNION ALL
    SELECT line.* FROM lines CROSS JOIN own CROSS JOIN LATERAL (
        SELECT lane, rank FROM run_ready
        WHERE tenant_id = $1 AND run_ready.pool = own.pool
          AND (run_ready.lane, run_ready.rank) > (lines.lane, lines.rank)
        ORDER BY lane, rank LIMIT 1
    ) AS line
), bounds AS (
    SELECT own.pool, lines.lane, lines.rank, own.ready_at, own.run_id
    FROM own JOIN lines ON lines.rank = own.rank
    UNION ALL
    SELECT own.pool, lines.lane, lines.rank, greatest(own.ready_at, tenure_now()),
           'ffffffff-ffff-ffff-ffff-ffffffffffff'
    FROM own JOIN lines ON lines.rank < own.rank
)
SELECT count(*) AS ahead
FROM (SELECT 1 FROM bounds CROSS JOIN LATERAL (
          SELECT 1 FROM run_ready
          WHERE tenant_id = $1 AND run_ready.pool = bounds.pool
            AND run_ready.lane = bounds.lane AND run_ready.rank = bounds.rank
            AND (run_ready.ready_at, run_ready.run_id) < (bounds.ready_at, bounds.run_id)
          LIMIT $3) AS line
      LIMIT $3) AS counted";

pub(super) async fn count_ahead(
    pool: &PgPool,
    tenant: TenantId,
    run: RunId,
    limit: usize,
) -> Result<u64> {
    let query = sqlx::query(COUNT_AHEAD).bind(tenant.uuid()).bind(run.uuid());
    let row = query.bind(bound(limit)).fetch_one(pool).await?;
    Reader::new("run_ready", &row).count("ahead")
}

pub(super) async fn lock_ready(
    db: &mut PgConnection,
    runs: &[(TenantId, RunId)],
) -> Result<(Timestamp, Vec<Run>)> {
    if runs.is_empty() {
        return Ok((clock::now(db).await?, Vec::new()));
    }
    let (now, mut locked) = runs::lock_readable_rows(db, runs).await?;
    locked.retain(|run| run.ready_at().is_some_and(|ready_at| ready_at <= now));
    let place = |run: &Run| runs.iter().position(|asked| *asked == (run.tenant, run.id));
    locked.sort_by_key(place);
    let left: Vec<_> = (0..runs.len())
        .filter(|asked| !locked.iter().any(|run| place(run) == Some(*asked)))
        .map(|asked| runs[asked])
        .collect();
    if !left.is_empty() {
        drop_stale(db, &left).await?;
    }
    Ok((now, locked))
}

// Checked again here: a run that was only busy is still to be leased, and keeps its row. Without
// waiting: somebody else may be dropping the same rows.
const DROP_STALE: &str = "-- drop_stale
DELETE FROM run_ready
WHERE (tenant_id, run_id) IN (
    SELECT tenant_id, run_id
    FROM run_ready JOIN unnest($1::uuid[], $2::uuid[]) AS asked (tenant_id, run_id)
         USING (tenant_id, run_id)
    WHERE NOT EXISTS (SELECT 1 FROM runs
                      WHERE runs.tenant_id = run_ready.tenant_id
                        AND runs.run_id = run_ready.run_id AND runs.ready_at IS NOT NULL)
    FOR UPDATE OF run_ready SKIP LOCKED)";

async fn drop_stale(db: &mut PgConnection, runs: &[(TenantId, RunId)]) -> Result<()> {
    let query = sqlx::query(DROP_STALE).bind(runs::tenants(runs)).bind(runs::ids(runs));
    query.execute(db).await?;
    Ok(())
}

pub(super) const ENQUEUE: Part = Part {
    name: "enqueue",
    rows: "tenant_id uuid, run_id uuid, agent_id uuid, pool text, rank smallint, \
           ready_at timestamptz",
    counts: false,
    sql: "-- enqueue
INSERT INTO run_ready ({columns}, lane)
SELECT new.*,
       coalesce((SELECT agents.agent_id FROM agents
                 WHERE agents.tenant_id = new.tenant_id AND agents.agent_id = new.agent_id
                   AND agents.max_running IS NOT NULL),
                '00000000-0000-0000-0000-000000000000')
FROM {rows} AS new
-- A stale row may still be there.
ON CONFLICT (tenant_id, run_id)
DO UPDATE SET pool = excluded.pool, rank = excluded.rank, ready_at = excluded.ready_at,
    lane = excluded.lane",
};

pub(super) fn bind_enqueued<'q>(query: Query<'q>, rows: &'q [ReadyColumns<'q>]) -> Query<'q> {
    query
        .bind(column(rows, |row| row.tenant_id))
        .bind(column(rows, |row| row.run_id))
        .bind(column(rows, |row| row.agent_id))
        .bind(column(rows, |row| row.pool))
        .bind(column(rows, |row| row.rank))
        .bind(column(rows, |row| Time(row.ready_at)))
}

pub(super) const DEQUEUE: Part = Part {
    name: "dequeue",
    rows: "tenant_id uuid, run_id uuid",
    counts: false,
    sql: "-- dequeue
DELETE FROM run_ready USING {rows} AS gone
WHERE run_ready.tenant_id = gone.tenant_id AND run_ready.run_id = gone.run_id",
};

pub(super) fn bind_dequeued<'q>(query: Query<'q>, rows: &'q [ReadyColumns<'q>]) -> Query<'q> {
    query.bind(column(rows, |row| row.tenant_id)).bind(column(rows, |row| row.run_id))
}
