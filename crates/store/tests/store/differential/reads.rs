//! Reads with random arguments, and the clock.

use std::time::Duration;

use tenure_core::{Digest, RunId, StateName, TenantId};
use tenure_store::{Hint, InterruptFilter, RunFilter};

use super::Step;
use super::contents::KEYS;
use super::registry::NAMES;
use crate::world::name;

pub(super) async fn act(step: &mut Step<'_>) {
    let tenants = step.tenants().await;
    let Some(tenant) = step.pick(&tenants) else { return };
    match step.random.u32(..8) {
        0 => read_tenants(step).await,
        1 => read_agents(step, tenant).await,
        2 => list_runs(step, tenant).await,
        3 => list_interrupts(step, tenant).await,
        _ => read_run(step, tenant).await,
    }
}

pub(super) async fn move_clock(step: &mut Step<'_>) {
    let now = step.store.now().await.unwrap();
    step.note("now", now, true);
    let later = now + Duration::from_micros(step.random.u64(..40_000_000));
    step.store.set_clock(Some(later)).await.unwrap();
    step.note("set_clock", later, true);
    let mut tx = step.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    step.note("tx.now", now, now == later);
}

/// One that somebody may have, or one that nobody has.
fn some_name(step: &mut Step<'_>) -> &'static str {
    if step.random.u32(..5) == 0 { "zz" } else { step.pick(&NAMES).unwrap() }
}

async fn read_tenants(step: &mut Step<'_>) {
    let text = some_name(step);
    let found = step.store.find_tenant(&name(text)).await.unwrap();
    step.note("find_tenant", &found, found.is_some());
    let limit = step.random.usize(..3);
    let after = step.random.bool().then(|| name(text));
    let page = step.store.list_tenants(after.as_ref(), limit).await.unwrap();
    step.note("list_tenants", &page, !page.is_empty());
    step.store.announce(&[Hint::Pool(TenantId::new(step.id()), name("default"))]).await.unwrap();
    step.note("announce", (), true);
}

async fn read_agents(step: &mut Step<'_>, tenant: TenantId) {
    let store = step.store;
    let text = some_name(step);
    let (now, standings) = store.list_standings(tenant).await.unwrap();
    step.note("list_standings", (now, &standings), !standings.is_empty());
    let found = store.find_agent(tenant, &name(text)).await.unwrap();
    step.note("find_agent", &found, found.is_some());
    let limit = step.random.usize(..4);
    let after = step.random.bool().then(|| name(text));
    let page = store.list_agents(tenant, after.as_ref(), limit).await.unwrap();
    step.note("list_agents", &page, !page.is_empty());
    let digest = Digest::of(format!("{{\"n\": {}}}", step.random.u32(..2)));
    let found = store.find_spec(tenant, &digest).await.unwrap();
    step.note("find_spec", &found, found.is_some());

    let agents = step.agents(tenant).await;
    let Some(agent) = step.pick(&agents) else { return };
    let found = store.get_agent(tenant, agent).await.unwrap();
    step.note("get_agent", &found, found.is_some());
    let number = step.random.u32(..4);
    let found = store.find_version(tenant, agent, number).await.unwrap();
    step.note("find_version", &found, found.is_some());
    let before = step.random.bool().then_some(number);
    let page = store.list_versions(tenant, agent, before, limit).await.unwrap();
    step.note("list_versions", &page, !page.is_empty());
    let aliases = store.list_aliases(tenant, agent).await.unwrap();
    step.note("list_aliases", &aliases, !aliases.is_empty());
}

async fn list_runs(step: &mut Step<'_>, tenant: TenantId) {
    let (agents, runs) = (step.agents(tenant).await, step.runs(tenant).await);
    let mut filter = RunFilter::default();
    if step.random.bool() {
        filter.agent = step.pick(&agents);
    }
    filter.states = StateName::ALL.into_iter().filter(|_| step.random.u32(..3) == 0).collect();
    match step.random.u32(..6) {
        0 => filter.failure_code = Some("http_503".into()),
        1 => filter.concurrency = step.pick(&KEYS).map(str::to_owned),
        2 => filter.parent = step.pick(&runs),
        _ => {}
    }
    let before = step.random.bool().then(|| RunId::new(step.id()));
    let limit = step.random.usize(..6);
    let page = step.store.list_runs(tenant, &filter, before, limit).await.unwrap();
    step.note("list_runs", &page, !page.is_empty());
}

async fn list_interrupts(step: &mut Step<'_>, tenant: TenantId) {
    let store = step.store;
    let (agents, runs) = (step.agents(tenant).await, step.runs(tenant).await);
    let mut filter = InterruptFilter { all: step.random.bool(), ..InterruptFilter::default() };
    match step.random.u32(..8) {
        0 => filter.agent = step.pick(&agents),
        1 => filter.run = step.pick(&runs),
        2 => filter.assignee = Some("editors".into()),
        3 => filter.opened_before = Some(store.now().await.unwrap()),
        _ => {}
    }
    let page = store.list_interrupts(tenant, &filter, None, 99).await.unwrap();
    step.note("list_interrupts", &page, !page.is_empty());
    let Some(one) = step.pick(&page) else { return };
    let limit = step.random.usize(..4);
    let after = Some((one.opened_at, one.id));
    let page = store.list_interrupts(tenant, &filter, after, limit).await.unwrap();
    step.note("list_interrupts", &page, true);
    let found = store.find_interrupt(tenant, one.id).await.unwrap();
    step.note("find_interrupt", &found, found.is_some());
}

async fn read_queue(step: &mut Step<'_>, tenant: TenantId, runs: &[RunId]) {
    let store = step.store;
    let agents = step.agents(tenant).await;
    let of = (tenant, step.pick(&agents).filter(|_| step.random.bool()));
    let running = store.count_running(of).await.unwrap();
    step.note("count_running", running, running > 0);
    let limit = step.random.usize(..3);
    for run in runs {
        let ahead = store.count_ahead(tenant, *run, limit).await.unwrap();
        step.note("count_ahead", ahead, ahead > 0);
    }
    let polled_at = store.polled_at(tenant, &name("default")).await.unwrap();
    step.note("polled_at", polled_at, polled_at.is_some());
    let turn = store.find_turn(tenant, step.pick(&KEYS).unwrap()).await.unwrap();
    step.note("find_turn", turn, turn.is_some());
}

async fn read_run(step: &mut Step<'_>, tenant: TenantId) {
    let store = step.store;
    let (alive, runs) = (step.alive(tenant).await, step.runs(tenant).await);
    let Some(run) = step.pick(if alive.is_empty() { &runs } else { &alive }) else { return };
    let found = store.find_run(tenant, run).await.unwrap();
    step.note("find_run", &found, found.is_some());
    read_queue(step, tenant, &alive).await;
    let (after, limit) = (step.random.u64(..3), step.random.usize(..4));
    let bytes = step.random.usize(..40);
    let page = store.read_journal(tenant, run, after, limit, bytes).await.unwrap();
    step.note("read_journal", &page, !page.is_empty());
    let page = store.read_inbox(tenant, run, after, limit).await.unwrap();
    step.note("read_inbox", &page, !page.is_empty());
    let rows = store.list_artifacts(tenant, run).await.unwrap();
    step.note("list_artifacts", &rows, !rows.is_empty());
    let name = step.pick(&rows).map_or("report-9".to_owned(), |row| row.artifact.name);
    let found = store.find_artifact(tenant, run, &name).await.unwrap();
    step.note("find_artifact", &found, found.is_some());
    read_inputs(step, tenant, &runs).await;
}

async fn read_inputs(step: &mut Step<'_>, tenant: TenantId, runs: &[RunId]) {
    let mut asked = Vec::new();
    for _ in 0..step.random.usize(..4) {
        let run = step.pick(runs).filter(|_| step.random.u32(..4) > 0);
        asked.push((tenant, run.unwrap_or_else(|| RunId::new(step.id()))));
    }
    let read = step.store.read_inputs(&asked).await.unwrap();
    step.note("read_inputs", &read, read.iter().any(Option::is_some));
}
