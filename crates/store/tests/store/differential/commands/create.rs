//! New runs, from nothing or from the journal of another.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::run::{Concurrency, NewRun, Parent, Policy, RetryPolicy};
use tenure_core::{AgentId, Budget, Digest, Failure, Payload, Run, RunId, TenantId, Transition};
use tenure_store::{Prefix, RunKey, Turn, Tx};

use super::finish;
use crate::differential::Step;
use crate::differential::contents::{KEYS, POOLS};
use crate::world::name;

pub(super) async fn create(step: &mut Step<'_>, tenant: TenantId, agent: AgentId) {
    let (mut new, mut keys) = (Vec::new(), Vec::new());
    for _ in 0..=step.random.u32(..2) {
        let run = RunId::new(step.id());
        let key = format!("key-{}", step.random.u32(..300));
        keys.push(RunKey { tenant, digest: Digest::of(&key), key, run });
        new.push(new_run(step, tenant, agent, run).await);
    }
    let mut tx = step.store.begin().await.unwrap();
    let reserved = tx.reserve_keys(&keys).await.unwrap();
    step.note("reserve_keys", &reserved, reserved.contains(&None));
    let mut free = reserved.iter().map(Option::is_none);
    new.retain(|_| free.next().unwrap());
    let created = transitions(step, &mut tx, new).await;
    step.note("create", created.len(), !created.is_empty());
    finish(step, tx, &created).await;
}

/// A run whose journal begins with a part of another one's.
pub(super) async fn fork(step: &mut Step<'_>, tenant: TenantId, agent: AgentId, runs: &[RunId]) {
    let Some(from) = step.pick(runs) else { return };
    let to = RunId::new(step.id());
    let prefix = prefix(step, tenant, from).await;
    let new = new_run(step, tenant, agent, to).await;
    let mut tx = step.store.begin().await.unwrap();
    let copied = tx.copy_journal(tenant, from, to, &prefix).await.unwrap();
    step.note("copy_journal", copied, copied.is_some_and(|entries| entries > 0));
    let forked = NewRun {
        entries: copied.unwrap_or(0),
        check: (step.random.u32(..8) == 0).then_some(from),
        ..new
    };
    let created = transitions(step, &mut tx, vec![forked]).await;
    finish(step, tx, &created).await;
}

async fn prefix(step: &mut Step<'_>, tenant: TenantId, from: RunId) -> Prefix {
    let entries = step.store.read_journal(tenant, from, 0, 999, usize::MAX).await.unwrap();
    let keys: Vec<_> = entries.into_iter().map(|entry| entry.record.key).collect();
    let before = match step.random.u32(..8) {
        0 => Some("nowhere".parse().unwrap()),
        1..4 => step.pick(&keys),
        _ => None,
    };
    let without = step.random.bool().then(|| Failure::permanent("no", "y"));
    Prefix { before, tools: step.random.bool(), without }
}

/// The creations of these, each with or without its turn.
async fn transitions(
    step: &mut Step<'_>,
    tx: &mut Box<dyn Tx>,
    new: Vec<NewRun>,
) -> Vec<Transition> {
    let now = tx.now().await.unwrap();
    let turn = |new: &NewRun| {
        let key = new.concurrency.as_ref()?.key.clone();
        Some(Turn { tenant: new.tenant, key, run: new.id })
    };
    let turns: Vec<_> = new.iter().filter_map(turn).collect();
    let owners = tx.take_turns(&turns).await.unwrap();
    step.note("take_turns", &owners, !owners.is_empty());
    let has_turn = |new: &NewRun| new.concurrency.is_none() || owners.contains(&new.id);
    new.into_iter()
        .map(|new| {
            let turn = has_turn(&new);
            Run::create(new, turn, now).unwrap()
        })
        .collect()
}

/// A run with anything that one can be given.
pub(super) async fn new_run(
    step: &mut Step<'_>,
    tenant: TenantId,
    agent: AgentId,
    id: RunId,
) -> NewRun {
    let alive = step.alive(tenant).await;
    let parent = step.pick(&alive).map(|run| {
        let key = format!("call/{}", step.random.u32(..9)).parse().unwrap();
        Parent { run, key, detached: step.random.bool() }
    });
    let mut one_in = |n| step.random.u32(..n) == 0;
    let (has_parent, has_turn, has_deadline) = (one_in(3), one_in(2), one_in(5));
    NewRun {
        id,
        tenant,
        agent,
        version: 1,
        pool: name(step.pick(&POOLS).unwrap()),
        input: Payload::json(format!("{}", step.random.u64(..))),
        labels: BTreeMap::from([("n".to_owned(), format!("é{}", step.random.u8(..)))]),
        start_after: Duration::from_millis(step.random.u64(..3) * 700),
        max_attempts: step.random.bool().then_some(2),
        retry: retry(step),
        priority: step.random.i32(-1..2),
        timeout: has_deadline.then(|| Duration::from_secs(step.random.u64(..300))),
        concurrency: has_turn.then(|| concurrency(step)),
        parent: parent.filter(|_| has_parent),
        depth: step.random.u32(..3),
        entries: 0,
        check: None,
        budget: budget(step),
    }
}

fn budget(step: &mut Step<'_>) -> Budget {
    let bounded = step.random.u32(..3) == 0;
    Budget { tokens: bounded.then(|| step.random.u64(..)), ..Budget::default() }
}

fn retry(step: &mut Step<'_>) -> RetryPolicy {
    let backoff = Duration::from_millis(step.random.u64(..2_000));
    RetryPolicy { limit: step.random.u32(..3), backoff, max_backoff: backoff * 2 }
}

fn concurrency(step: &mut Step<'_>) -> Concurrency {
    let policy = if step.random.u32(..6) == 0 { Policy::Replace } else { Policy::Queue };
    Concurrency { key: step.pick(&KEYS).unwrap().into(), policy }
}
