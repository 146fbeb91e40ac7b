//! Commands on runs: found and locked, decided by the rules, saved.

mod decide;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tenure_core::agent::Artifact;
use tenure_core::run::NewRun;
use tenure_core::{
    AgentId, ArtifactId, Digest, LeaseId, Payload, Run, RunId, TenantId, Timestamp, Transition,
    WorkerId,
};
use tenure_store::{Locked, RunKey, StoreError, Tx};

use super::Step;
use super::contents::POOLS;
use crate::world::{TTL, name};

/// Runs that have not ended; more of them would only be slower to compare.
const MOST_RUNS: usize = 6;

pub(super) async fn act(step: &mut Step<'_>) {
    let tenants = step.tenants().await;
    let Some(tenant) = step.pick(&tenants) else { return super::registry::act(step).await };
    let (agents, runs) = (step.agents(tenant).await, step.runs(tenant).await);
    let Some(agent) = step.pick(&agents) else { return super::registry::act(step).await };
    let alive = step.alive(tenant).await;
    if alive.len() < 2 {
        return create(step, tenant, agent).await;
    }
    match step.random.u32(..15) {
        0..2 if alive.len() < MOST_RUNS => create(step, tenant, agent).await,
        0..6 => lease(step, tenant).await,
        6 => expire(step).await,
        7 => put_artifact(step, tenant, &runs).await,
        8 => conflict(step, tenant, &runs).await,
        _ => decide_some(step, tenant, &alive, &runs).await,
    }
}

/// Saves, and commits, or now and then drops everything.
async fn finish(step: &mut Step<'_>, mut tx: Box<dyn Tx>, transitions: &[Transition]) {
    tx.save(transitions).await.unwrap();
    step.note("save", transitions.len(), !transitions.is_empty());
    if step.random.u32(..10) > 0 {
        tx.commit().await.unwrap();
        step.note("commit", (), true);
    } else {
        roll_back(step, tx).await;
    }
}

/// What is dropped is rolled back in the background: on several connections, the next transaction
/// may still find the rows locked.
async fn roll_back(step: &mut Step<'_>, tx: Box<dyn Tx>) {
    drop(tx);
    step.note("drop", (), true);
    for tenant in step.tenants().await {
        let runs = step.runs(tenant).await.into_iter().map(|run| (tenant, run)).collect::<Vec<_>>();
        while is_busy(step, &runs).await {
            tokio::task::yield_now().await;
        }
    }
}

async fn is_busy(step: &Step<'_>, runs: &[(TenantId, RunId)]) -> bool {
    let mut tx = step.store.begin().await.unwrap();
    let (_, locked) = tx.lock_runs(runs).await.unwrap();
    // Committed: dropped, it would be busy itself for the next look.
    tx.commit().await.unwrap();
    locked.contains(&Locked::Busy)
}

async fn create(step: &mut Step<'_>, tenant: TenantId, agent: AgentId) {
    let mut tx = step.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    let (mut created, mut keys) = (Vec::new(), Vec::new());
    for _ in 0..=step.random.u32(..2) {
        let run = RunId::new(step.id());
        let key = format!("key-{}", step.random.u32(..300));
        keys.push(RunKey { tenant, digest: Digest::of(&key), key, run });
        created.push(new_run(step, tenant, agent, run, now));
    }
    let reserved = tx.reserve_keys(&keys).await.unwrap();
    step.note("reserve_keys", &reserved, reserved.contains(&None));
    let mut free = reserved.iter().map(Option::is_none);
    created.retain(|_| free.next().unwrap());
    step.note("create", created.len(), !created.is_empty());
    finish(step, tx, &created).await;
}

fn new_run(
    step: &mut Step<'_>,
    tenant: TenantId,
    agent: AgentId,
    id: RunId,
    now: Timestamp,
) -> Transition {
    let pool = name(step.pick(&POOLS).unwrap());
    let input = Payload::json(format!("{}", step.random.u64(..)));
    let labels = BTreeMap::from([("n".to_owned(), format!("é{}", step.random.u8(..)))]);
    let max_attempts = step.random.bool().then_some(2);
    let start_after = Duration::from_millis(step.random.u64(..3) * 700);
    let new =
        NewRun { id, tenant, agent, version: 1, pool, input, labels, start_after, max_attempts };
    Run::create(new, now).unwrap()
}

async fn lease(step: &mut Step<'_>, tenant: TenantId) {
    let pools: Vec<_> = POOLS.into_iter().filter(|_| step.random.u32(..4) > 0).map(name).collect();
    let limit = step.random.usize(..6);
    let mut tx = step.store.begin().await.unwrap();
    let (now, runs) = tx.lock_ready(tenant, &pools, limit).await.unwrap();
    step.note("lock_ready", (now, &runs), !runs.is_empty());
    let mut leased = Vec::new();
    for run in runs {
        let (lease, worker) = (LeaseId::new(step.id()), WorkerId::new(step.id()));
        leased.push(run.lease(lease, worker, now, TTL).unwrap());
    }
    step.note("lease", leased.len(), !leased.is_empty());
    finish(step, tx, &leased).await;
}

async fn expire(step: &mut Step<'_>) {
    let limit = step.random.usize(..4);
    let mut tx = step.store.begin().await.unwrap();
    let (now, runs) = tx.lock_expired(limit).await.unwrap();
    step.note("lock_expired", (now, &runs), !runs.is_empty());
    let ended: Vec<_> = runs.iter().map(|run| run.expire(now).expect("an expired run")).collect();
    step.note("expire", ended.len(), !ended.is_empty());
    finish(step, tx, &ended).await;
}

async fn put_artifact(step: &mut Step<'_>, tenant: TenantId, runs: &[RunId]) {
    let Some(run) = step.pick(runs) else { return };
    let data = Bytes::from(format!("{}", step.random.u8(..)));
    let artifact = Artifact {
        id: ArtifactId::new(step.id()),
        run,
        name: format!("report-{}", step.random.u32(..3)),
        content_type: "text/plain".into(),
        digest: Digest::of(&data),
        data,
        created_at: Timestamp::from_micros(step.random.i64(0..1 << 50)),
    };
    let mut tx = step.store.begin().await.unwrap();
    let taken = tx.put_artifact(tenant, &artifact).await.unwrap();
    step.note("put_artifact", &taken, taken.is_none());
    finish(step, tx, &[]).await;
}

/// The same transition twice: the second has an old revision.
async fn conflict(step: &mut Step<'_>, tenant: TenantId, runs: &[RunId]) {
    let Some(run) = step.pick(runs) else { return };
    let mut tx = step.store.begin().await.unwrap();
    let (now, locked) = tx.lock_runs(&[(tenant, run)]).await.unwrap();
    let Locked::Run(run) = &locked[0] else { panic!("{locked:?}") };
    let Ok(Some(cancel)) = run.cancel("conflict", now, TTL) else {
        return roll_back(step, tx).await;
    };
    tx.save(std::slice::from_ref(&cancel)).await.unwrap();
    let error = tx.save(&[cancel]).await.unwrap_err();
    step.note("conflict", (), matches!(error, StoreError::Conflict(_)));
    assert!(tx.commit().await.is_err());
}

/// Several commands on several runs in one transaction, as the ledger does.
async fn decide_some(step: &mut Step<'_>, tenant: TenantId, alive: &[RunId], runs: &[RunId]) {
    let mut asked: Vec<_> = runs.iter().map(|run| (tenant, *run)).collect();
    // Seldom those that have ended: most commands only refuse them.
    asked.retain(|(_, run)| step.random.u32(..if alive.contains(run) { 2 } else { 16 }) == 0);
    if step.random.u32(..5) == 0 {
        asked.push((tenant, RunId::new(step.id())));
    }
    let mut tx = step.store.begin().await.unwrap();
    let (now, locked) = tx.lock_runs(&asked).await.unwrap();
    step.note("lock_runs", (now, &locked), !locked.is_empty());
    let source = format!("signal:{}", step.random.u32(..4));
    let sources: Vec<_> =
        asked.iter().map(|(tenant, run)| (*tenant, *run, source.clone())).collect();
    let known = tx.inbox_sources(&sources).await.unwrap();
    step.note("inbox_sources", &known, known.contains(&true));

    let mut decided = Vec::new();
    for (locked, known) in locked.iter().zip(known) {
        if let Locked::Run(run) = locked {
            let new = (!known).then_some(&*source);
            decided.extend(decide::command(step, run, now, new));
        }
    }
    finish(step, tx, &decided).await;
}
