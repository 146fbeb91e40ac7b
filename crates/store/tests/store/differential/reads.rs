//! Reads with random arguments, and the clock.

use std::time::Duration;

use tenure_core::{Digest, RunId, StateName, TenantId};
use tenure_store::{Hint, RunFilter};

use super::Step;
use super::registry::NAMES;
use crate::world::name;

pub(super) async fn act(step: &mut Step<'_>) {
    let tenants = step.tenants().await;
    let Some(tenant) = step.pick(&tenants) else { return };
    match step.random.u32(..5) {
        0 => move_clock(step).await,
        1 => read_tenants(step).await,
        2 => read_agents(step, tenant).await,
        3 => list_runs(step, tenant).await,
        _ => read_run(step, tenant).await,
    }
}

async fn move_clock(step: &mut Step<'_>) {
    let now = step.store.now().await.unwrap();
    step.note("now", now, true);
    let later = now + Duration::from_micros(step.random.u64(..60_000_000));
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
    let found = store.find_agent(tenant, &name(text)).await.unwrap();
    step.note("find_agent", &found, found.is_some());
    let limit = step.random.usize(..3);
    let page = store.list_agents(tenant, Some(&name(text)), limit).await.unwrap();
    step.note("list_agents", &page, !page.is_empty());
    let digest = Digest::of(format!("{{\"n\": {}}}", step.random.u32(..4)));
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
    let agents = step.agents(tenant).await;
    let mut filter = RunFilter::default();
    if step.random.bool() {
        filter.agent = step.pick(&agents);
    }
    filter.states = StateName::ALL.into_iter().filter(|_| step.random.u32(..3) == 0).collect();
    let before = step.random.bool().then(|| RunId::new(step.id()));
    let limit = step.random.usize(..6);
    let page = step.store.list_runs(tenant, &filter, before, limit).await.unwrap();
    step.note("list_runs", &page, !page.is_empty());
}

async fn read_run(step: &mut Step<'_>, tenant: TenantId) {
    let store = step.store;
    let runs = step.runs(tenant).await;
    let Some(run) = step.pick(&runs) else { return };
    let found = store.find_run(tenant, run).await.unwrap();
    step.note("find_run", &found, found.is_some());
    let (after, limit) = (step.random.u64(..3), step.random.usize(..4));
    let bytes = step.random.usize(..40);
    let page = store.read_journal(tenant, run, after, limit, bytes).await.unwrap();
    step.note("read_journal", &page, !page.is_empty());
    let page = store.read_inbox(tenant, run, after, limit).await.unwrap();
    step.note("read_inbox", &page, !page.is_empty());
    let rows = store.list_artifacts(tenant, run).await.unwrap();
    step.note("list_artifacts", &rows, !rows.is_empty());
    let found = store.find_artifact(tenant, run, "report-1").await.unwrap();
    step.note("find_artifact", &found, found.is_some());
}
