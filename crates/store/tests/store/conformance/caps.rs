//! Caps: how many may be leased at a time, and the lanes that follow from them.

use std::collections::HashMap;

use tenure_core::queue::{Cap, Capped};
use tenure_core::run::{NewRun, Outcome};
use tenure_core::{AgentId, RunId, TenantId};

use super::Any;
use crate::world::{World, agent, name, version};

async fn set_cap(world: &World, of: Capped, limit: Option<u32>) -> bool {
    let mut tx = world.store.begin().await.unwrap();
    let set = tx.set_cap(of, limit).await.unwrap();
    tx.commit().await.unwrap();
    set
}

/// Another agent, with a version.
async fn second_agent(world: &mut World) -> AgentId {
    let second = agent(world.tenant, world.id(), "reader");
    let mut tx = world.store.begin().await.unwrap();
    assert!(tx.insert_agent(&second).await.unwrap());
    tx.insert_version(world.tenant, &version(second.id, 1, "{}")).await.unwrap();
    tx.commit().await.unwrap();
    second.id
}

pub(super) async fn a_cap_is_set_and_removed(store: Any) {
    let mut world = World::new(store).await;
    let (tenant, agent) = (world.tenant, world.agent);
    assert!(set_cap(&world, (tenant, None), Some(u32::MAX)).await);
    assert!(set_cap(&world, (tenant, Some(agent)), Some(0)).await);
    let store = &world.store;
    let found = store.find_tenant(&name("acme")).await.unwrap().unwrap();
    assert_eq!(found.max_running, Some(u32::MAX));
    let found = store.get_agent(tenant, agent).await.unwrap().unwrap();
    assert_eq!(found.max_running, Some(0));
    assert_eq!(store.list_agents(tenant, None, 9).await.unwrap(), [found]);
    assert!(set_cap(&world, (tenant, None), None).await);
    assert_eq!(world.store.list_tenants(None, 9).await.unwrap()[0].max_running, None);
    let nobody = world.id();
    assert!(!set_cap(&world, (TenantId::new(nobody), None), Some(1)).await);
    assert!(!set_cap(&world, (tenant, Some(AgentId::new(nobody))), Some(1)).await);
}

pub(super) async fn a_cap_comes_with_what_is_running(store: Any) {
    let mut world = World::new(store).await;
    let (tenant, writer) = (world.tenant, world.agent);
    let reader = second_agent(&mut world).await;
    for of in [(tenant, None), (tenant, Some(reader))] {
        assert!(set_cap(&world, of, Some(3)).await);
    }
    let first = world.create_leased().await;
    let of_reader = NewRun { agent: reader, ..world.given("default") };
    let of_reader = world.create_of(of_reader, true).await;
    world.start(&of_reader).await;
    let lock = async |of: &[Capped]| {
        let mut tx = world.store.begin().await.unwrap();
        let caps = tx.lock_caps(of).await.unwrap();
        tx.commit().await.unwrap();
        caps
    };
    let asked = [(tenant, None), (tenant, Some(writer)), (tenant, Some(reader))];
    let cap = |running| Cap { limit: 3, running };
    assert_eq!(lock(&asked).await, HashMap::from([(asked[0], cap(2)), (asked[2], cap(1))]));
    world.commit(&first, Vec::new(), Some(Outcome::Release)).await;
    assert_eq!(lock(&asked[..2]).await, HashMap::from([(asked[0], cap(1))]));
    assert_eq!(lock(&asked[1..2]).await, HashMap::new());
    assert_eq!(lock(&[]).await, HashMap::new());
}

/// Runs of an agent with a cap queue in a lane of their own, whenever the cap was set.
pub(super) async fn a_cap_moves_its_runs_to_a_lane(store: Any) {
    let mut world = World::new(store).await;
    let (tenant, writer) = (world.tenant, world.agent);
    let reader = second_agent(&mut world).await;
    let before = world.create().await;
    let other = NewRun { agent: reader, ..world.given("default") };
    let other = world.create_of(other, true).await;
    assert!(set_cap(&world, (tenant, Some(writer)), Some(1)).await);
    let after = world.create().await;
    let lanes = async || {
        let mut tx = world.store.begin().await.unwrap();
        let found = tx.find_ready(&[(tenant, name("default"))], 9).await.unwrap();
        tx.commit().await.unwrap();
        found.into_iter().map(|ready| (ready.run, ready.lane)).collect::<HashMap<_, _>>()
    };
    let expected = |lane| HashMap::from([(before.id, lane), (after.id, lane), (other.id, None)]);
    assert_eq!(lanes().await, expected(Some(writer)));
    assert!(set_cap(&world, (tenant, Some(writer)), Some(2)).await);
    assert_eq!(lanes().await, expected(Some(writer)));
    assert!(set_cap(&world, (tenant, Some(writer)), None).await);
    assert_eq!(lanes().await, expected(None));
}

/// Behind an agent that is at its cap, the others are found.
pub(super) async fn those_behind_a_cap_are_found(store: Any) {
    let mut world = World::new(store).await;
    let (tenant, writer) = (world.tenant, world.agent);
    let reader = second_agent(&mut world).await;
    assert!(set_cap(&world, (tenant, Some(writer)), Some(1)).await);
    let mut writers = Vec::new();
    for _ in 0..3 {
        writers.push(world.create().await.id);
    }
    let other = NewRun { agent: reader, priority: -1, ..world.given("default") };
    let other = world.create_of(other, true).await.id;
    writers.sort_unstable();
    assert_eq!(world.ready(&["default"], 2).await, [writers[0], other]);
    let first = world.store.find_run(tenant, writers[0]).await.unwrap().unwrap().run;
    world.start(&first).await;
    assert_eq!(world.ready(&["default"], 2).await, [other]);
    assert_eq!(world.ready(&["default"], 0).await, Vec::<RunId>::new());
}
