//! Tenants, agents, versions and aliases.

use std::time::Duration;

use tenure_core::agent::{Alias, AliasTarget};
use tenure_core::allowance::{Allowance, Estimate, Hold, Period};
use tenure_core::{Budget, RunId, TenantId};

use super::Step;
use crate::world::{agent, name, tenant, version};

pub(super) const NAMES: [&str; 4] = ["a", "a-b", "ab", "b.c"];

pub(super) async fn act(step: &mut Step<'_>) {
    let tenants = step.tenants().await;
    match step.pick(&tenants) {
        Some(_) if tenants.len() < 2 && step.random.bool() => insert_tenant(step).await,
        None => insert_tenant(step).await,
        Some(tenant) => match step.random.u32(..8) {
            0 => insert_agent(step, tenant).await,
            1 => publish(step, tenant).await,
            2 => set_cap(step, tenant).await,
            3 => set_policy(step, tenant).await,
            4 | 5 => set_allowance(step, tenant).await,
            6 => hold(step, tenant).await,
            _ => set_alias(step, tenant).await,
        },
    }
}

async fn insert_tenant(step: &mut Step<'_>) {
    let text = step.pick(&NAMES).unwrap();
    let new = tenant(step.id(), text);
    let mut tx = step.store.begin().await.unwrap();
    let inserted = tx.insert_tenant(&new).await.unwrap();
    tx.commit().await.unwrap();
    step.note("insert_tenant", inserted, inserted);
}

/// With its first version, so that it can have runs.
async fn insert_agent(step: &mut Step<'_>, tenant: TenantId) {
    let text = step.pick(&NAMES).unwrap();
    let new = agent(tenant, step.id(), text);
    let mut tx = step.store.begin().await.unwrap();
    let inserted = tx.insert_agent(&new).await.unwrap();
    if inserted {
        tx.insert_version(tenant, &version(new.id, 1, "{}")).await.unwrap();
    }
    tx.commit().await.unwrap();
    step.note("insert_agent", inserted, inserted);
}

async fn publish(step: &mut Step<'_>, tenant: TenantId) {
    let text = step.pick(&NAMES).unwrap();
    let spec = format!("{{\"n\": {}}}", step.random.u32(..2));
    let mut tx = step.store.begin().await.unwrap();
    let locked = tx.lock_agent(tenant, &name(text)).await.unwrap();
    step.note("lock_agent", &locked, locked.is_some());
    let Some(agent) = locked else { return };
    let new = version(agent.id, agent.latest + 1, &spec);
    let known = tx.find_version_by_digest(tenant, agent.id, &new.digest).await.unwrap();
    step.note("find_version_by_digest", &known, known.is_some());
    if known.is_none() {
        tx.insert_version(tenant, &new).await.unwrap();
        step.note("insert_version", new.number, true);
    }
    tx.commit().await.unwrap();
}

/// Seldom a low one: where hardly anything runs, hardly anything happens.
async fn set_cap(step: &mut Step<'_>, tenant: TenantId) {
    let agents = step.agents(tenant).await;
    let agent = step.pick(&agents).filter(|_| step.random.u32(..3) > 0);
    let limit = step.random.bool().then(|| step.random.u32(1..9));
    let mut tx = step.store.begin().await.unwrap();
    let set = tx.set_cap((tenant, agent), limit).await.unwrap();
    tx.commit().await.unwrap();
    step.note("set_cap", set, set && limit.is_some());
}

async fn set_policy(step: &mut Step<'_>, tenant: TenantId) {
    let policy = step.random.bool().then(|| format!("default: {}", step.random.u32(..)));
    let mut tx = step.store.begin().await.unwrap();
    let set = tx.set_policy(tenant, policy.as_deref()).await.unwrap();
    tx.commit().await.unwrap();
    step.note("set_policy", set, set && policy.is_some());
}

async fn set_allowance(step: &mut Step<'_>, tenant: TenantId) {
    let agents = step.agents(tenant).await;
    let agent = step.pick(&agents).filter(|_| step.random.bool());
    let period = step.pick(&Period::ALL).unwrap();
    let mut bound = || step.random.bool().then(|| step.random.u64(..1_000));
    let budget = Budget { cost_micros: bound(), tokens: bound(), tool_calls: bound() };
    let mut tx = step.store.begin().await.unwrap();
    let set = tx.set_allowance(&Allowance { tenant, agent, period, budget }).await.unwrap();
    tx.commit().await.unwrap();
    step.note("set_allowance", set, set && !budget.is_unlimited());
}

/// For a run and a step that may be there or not: nobody looks.
async fn hold(step: &mut Step<'_>, tenant: TenantId) {
    let (agents, runs) = (step.agents(tenant).await, step.runs(tenant).await);
    let Some(agent) = step.pick(&agents) else { return };
    let run = step.pick(&runs).unwrap_or_else(|| RunId::new(step.id()));
    let mut tx = step.store.begin().await.unwrap();
    let (now, standings) = tx.lock_allowances(tenant, agent).await.unwrap();
    step.note("lock_allowances", (now, &standings), !standings.is_empty());
    let hold = Hold {
        tenant,
        run,
        agent,
        key: format!("turn/{}/model", step.random.u32(..3)).parse().unwrap(),
        estimate: Estimate {
            cost_micros: step.random.bool().then(|| step.random.u64(..1_000)),
            tokens: step.random.u64(..1_000),
        },
        until: now + Duration::from_secs(step.random.u64(1..90)),
    };
    tx.hold(&hold, now).await.unwrap();
    tx.commit().await.unwrap();
    step.note("hold", (), true);
}

async fn set_alias(step: &mut Step<'_>, tenant: TenantId) {
    let agents = step.agents(tenant).await;
    let Some(agent) = step.pick(&agents) else { return };
    let mut targets = vec![AliasTarget { version: 1, weight: step.random.u32(1..) }];
    if step.random.bool() {
        targets.push(AliasTarget { version: 2, weight: 1 });
    }
    let alias = Alias::new(agent, name(step.pick(&NAMES).unwrap()), targets).unwrap();
    let mut tx = step.store.begin().await.unwrap();
    tx.set_alias(tenant, &alias).await.unwrap();
    tx.commit().await.unwrap();
    step.note("set_alias", &alias, true);
}
