//! Commands on runs: found and locked, decided by the rules, saved.

mod create;
mod decide;
mod interrupts;
mod known;
mod messages;

use bytes::Bytes;
use tenure_core::agent::Artifact;
use tenure_core::{
    AgentId, ArtifactId, Digest, LeaseId, Run, RunId, RunState, TenantId, Timestamp, Transition,
    WorkerId, queue,
};
use tenure_store::{Locked, RunFilter, StoreError, Tx};

use super::Step;
use super::contents::POOLS;
use crate::world::{TTL, ann, name};

/// Runs that have not ended; more of them would only be slower to compare.
const MOST_RUNS: usize = 9;

pub(super) async fn act(step: &mut Step<'_>) {
    let tenants = step.tenants().await;
    let Some(tenant) = step.pick(&tenants) else { return super::registry::act(step).await };
    let agents = step.agents(tenant).await;
    let Some(agent) = step.pick(&agents) else { return super::registry::act(step).await };
    let runs = Runs::of(step, tenant).await;
    if runs.alive.len() < 4 {
        return create(step, tenant, agent).await;
    }
    if runs.running.is_empty() && step.random.bool() {
        return lease(step, tenant).await;
    }
    let room = runs.alive.len() < MOST_RUNS;
    match step.random.u32(..26) {
        0..2 if room => create(step, tenant, agent).await,
        2..4 if room => create::fork(step, tenant, agent, &runs.alive).await,
        0..7 => lease(step, tenant).await,
        7 => expire(step).await,
        8..10 => put_artifact(step, tenant, &runs.alive).await,
        10 => conflict(step, tenant, &runs.all).await,
        11..13 => interrupts::time_out(step).await,
        13..15 => interrupts::resolve(step, tenant).await,
        15..18 => messages::act(step).await,
        _ => decide_some(step, tenant, &runs).await,
    }
}

async fn create(step: &mut Step<'_>, tenant: TenantId, agent: AgentId) {
    if step.random.bool() {
        known::create(step, tenant, agent).await;
    } else {
        create::create(step, tenant, agent).await;
    }
}

/// The runs of a tenant, by how much can be done to them.
struct Runs {
    all: Vec<RunId>,
    alive: Vec<RunId>,
    running: Vec<RunId>,
}

impl Runs {
    async fn of(step: &Step<'_>, tenant: TenantId) -> Self {
        let page = step.store.list_runs(tenant, &RunFilter::default(), None, 999).await.unwrap();
        let those = |which: fn(&RunState) -> bool| {
            let chosen = page.iter().filter(|full| which(&full.run.state));
            chosen.map(|full| full.run.id).collect()
        };
        Self {
            all: those(|_| true),
            alive: those(|state| !state.is_terminal()),
            running: those(|state| matches!(state, RunState::Running { .. })),
        }
    }
}

/// Saves, and commits, or now and then drops everything.
async fn finish(step: &mut Step<'_>, tx: Box<dyn Tx>, transitions: &[Transition]) {
    if step.random.u32(..10) > 0 {
        return commit(step, tx, transitions).await;
    }
    let mut tx = tx;
    tx.save(transitions).await.unwrap();
    let runs = transitions.iter().map(|of| (of.run.tenant, of.run.id)).collect();
    roll_back(step, tx, runs).await;
}

/// Saves and commits.
async fn commit(step: &mut Step<'_>, mut tx: Box<dyn Tx>, transitions: &[Transition]) {
    tx.save(transitions).await.unwrap();
    step.note("save", transitions.len(), !transitions.is_empty());
    tx.commit().await.unwrap();
    step.note("commit", (), true);
}

async fn roll_back(step: &mut Step<'_>, tx: Box<dyn Tx>, runs: Vec<(TenantId, RunId)>) {
    drop(tx);
    step.note("drop", (), true);
    until_free(step, runs).await;
}

/// What is dropped is rolled back in the background: on several connections, the next transaction
/// may still find its runs locked, and all else that it holds.
async fn until_free(step: &Step<'_>, mut runs: Vec<(TenantId, RunId)>) {
    for tenant in step.tenants().await {
        runs.extend(step.runs(tenant).await.into_iter().map(|run| (tenant, run)));
    }
    while is_busy(step, &runs).await {
        tokio::task::yield_now().await;
    }
}

async fn is_busy(step: &Step<'_>, runs: &[(TenantId, RunId)]) -> bool {
    let mut tx = step.store.begin().await.unwrap();
    let (_, locked) = tx.lock_runs(runs).await.unwrap();
    // Committed: dropped, it would be busy itself for the next look.
    tx.commit().await.unwrap();
    locked.contains(&Locked::Busy)
}

async fn lease(step: &mut Step<'_>, tenant: TenantId) {
    let pools = POOLS.into_iter().filter(|_| step.random.u32(..4) > 0);
    let places: Vec<_> = pools.map(|pool| (tenant, name(pool))).collect();
    let limit = step.random.usize(..9);
    let mut tx = step.store.begin().await.unwrap();
    tx.note_polls(&places).await.unwrap();
    step.note("note_polls", (), !places.is_empty());
    let ready = tx.find_ready(&places, limit).await.unwrap();
    step.note("find_ready", &ready, !ready.is_empty());
    let caps = tx.lock_caps(&queue::capped(&ready)).await.unwrap();
    let in_order: std::collections::BTreeMap<_, _> = caps.iter().collect();
    step.note("lock_caps", in_order, !caps.is_empty());
    let mut chosen = queue::choose(ready, &caps, limit, 0);
    if step.random.u32(..4) == 0 {
        chosen.push((tenant, RunId::new(step.id())));
    }
    let (now, runs) = tx.lock_ready(&chosen).await.unwrap();
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
    let late = ended.iter().filter(|ended| is_late(&ended.run)).count();
    step.note("deadline", late, late > 0);
    finish(step, tx, &ended).await;
}

fn is_late(run: &Run) -> bool {
    matches!(&run.state, RunState::Failed { failure, .. } if failure.code == "deadline")
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
    let Ok(Some(cancel)) = run.cancel(ann("conflict"), now, TTL) else {
        return roll_back(step, tx, Vec::new()).await;
    };
    tx.save(std::slice::from_ref(&cancel)).await.unwrap();
    let error = tx.save(&[cancel]).await.unwrap_err();
    step.note("conflict", (), matches!(error, StoreError::Conflict(_)));
    assert!(tx.commit().await.is_err());
    until_free(step, Vec::new()).await;
}

/// Several commands on several runs in one transaction, as the ledger does.
async fn decide_some(step: &mut Step<'_>, tenant: TenantId, runs: &Runs) {
    let mut asked: Vec<_> = runs.all.iter().map(|run| (tenant, *run)).collect();
    // Seldom those that have ended: most commands only refuse them. Most can be done while running.
    asked.retain(|(_, run)| match step.random.u32(..16) {
        0 => true,
        1..7 => runs.alive.contains(run),
        7..13 => runs.running.contains(run),
        _ => false,
    });
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
    // As the ledger does: what can be decided from memory is saved without a lock.
    let from_memory = step.random.bool();
    let is_known = |of: &Transition| from_memory && of.is_plain();
    let (known, decided): (Vec<_>, Vec<_>) = decided.into_iter().partition(is_known);
    finish(step, tx, &decided).await;
    if !known.is_empty() {
        known::save(step, known).await;
    }
}
