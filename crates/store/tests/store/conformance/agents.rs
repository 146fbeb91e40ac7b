//! Tenants, agents, versions, aliases.

use tenure_core::Digest;
use tenure_core::agent::{Alias, AliasTarget};
use tenure_store::StoreError;

use super::Any;
use crate::world::{World, agent, name, tenant, version};

pub(super) async fn a_tenants_name_is_unique(store: Any) {
    let mut world = World::new(store).await;
    let (one, two) = (tenant(world.id(), "globex"), tenant(world.id(), "globex"));
    let mut tx = world.store.begin().await.unwrap();
    assert!(tx.insert_tenant(&one).await.unwrap());
    assert!(!tx.insert_tenant(&two).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(world.store.find_tenant(&name("globex")).await.unwrap(), Some(one));
    assert_eq!(world.store.find_tenant(&name("initech")).await.unwrap(), None);
}

pub(super) async fn tenants_are_listed_by_name(store: Any) {
    let mut world = World::new(store).await;
    let mut tx = world.store.begin().await.unwrap();
    // In byte order: a locale's order would skip the dash.
    for text in ["b-z", "ba", "b"] {
        assert!(tx.insert_tenant(&tenant(world.id(), text)).await.unwrap());
    }
    tx.commit().await.unwrap();
    let names = async |after: Option<&str>, limit| {
        let after = after.map(name);
        let page = world.store.list_tenants(after.as_ref(), limit).await.unwrap();
        page.into_iter().map(|tenant| tenant.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 9).await, ["acme", "b", "b-z", "ba"]);
    assert_eq!(names(Some("b"), 1).await, ["b-z"]);
}

pub(super) async fn an_agents_name_is_unique_in_its_tenant(store: Any) {
    let mut world = World::new(store).await;
    let other = tenant(world.id(), "globex");
    let taken = agent(world.tenant, world.id(), "writer");
    let elsewhere = agent(other.id, world.id(), "writer");
    let second = agent(world.tenant, world.id(), "reader");
    let mut tx = world.store.begin().await.unwrap();
    assert!(tx.insert_tenant(&other).await.unwrap());
    assert!(!tx.insert_agent(&taken).await.unwrap());
    assert!(tx.insert_agent(&elsewhere).await.unwrap());
    assert!(tx.insert_agent(&second).await.unwrap());
    tx.commit().await.unwrap();

    let store = &world.store;
    let found = store.find_agent(other.id, &name("writer")).await.unwrap();
    assert_eq!(found.as_ref(), Some(&elsewhere));
    assert_eq!(store.get_agent(other.id, elsewhere.id).await.unwrap(), found);
    assert_eq!(store.get_agent(world.tenant, elsewhere.id).await.unwrap(), None);
    let page = store.list_agents(world.tenant, None, 9).await.unwrap();
    assert_eq!(page.iter().map(|agent| agent.id).collect::<Vec<_>>(), [second.id, world.agent]);
    let page = store.list_agents(world.tenant, Some(&second.name), 9).await.unwrap();
    assert_eq!(page.len(), 1);
}

pub(super) async fn the_newest_version_is_the_agents_latest(store: Any) {
    let world = World::new(store).await;
    let second = version(world.agent, 2, "{\"pool\": \"default\"}");
    let mut tx = world.store.begin().await.unwrap();
    let locked = tx.lock_agent(world.tenant, &name("writer")).await.unwrap().unwrap();
    assert_eq!(locked.latest, 1);
    assert_eq!(tx.lock_agent(world.tenant, &name("reader")).await.unwrap(), None);
    tx.insert_version(world.tenant, &second).await.unwrap();
    let known = tx.find_version_by_digest(world.tenant, world.agent, &second.digest).await.unwrap();
    assert_eq!(known.as_ref(), Some(&second));
    let unknown = Digest::of("something else");
    assert!(
        tx.find_version_by_digest(world.tenant, world.agent, &unknown).await.unwrap().is_none()
    );
    tx.commit().await.unwrap();

    let store = &world.store;
    let found = store.get_agent(world.tenant, world.agent).await.unwrap().unwrap();
    assert_eq!(found.latest, 2);
    assert_eq!(store.find_version(world.tenant, world.agent, 2).await.unwrap(), known);
    assert_eq!(store.find_version(world.tenant, world.agent, 3).await.unwrap(), None);
    assert_eq!(store.find_spec(world.tenant, &second.digest).await.unwrap(), known);
    assert_eq!(store.find_spec(world.tenant, &unknown).await.unwrap(), None);
    let numbers = async |before, limit| {
        let page = store.list_versions(world.tenant, world.agent, before, limit).await.unwrap();
        page.into_iter().map(|version| version.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(None, 9).await, [2, 1]);
    assert_eq!(numbers(None, 1).await, [2]);
    assert_eq!(numbers(Some(2), 9).await, [1]);
}

pub(super) async fn a_version_that_is_taken_is_a_conflict(store: Any) {
    let world = World::new(store).await;
    for taken in [version(world.agent, 1, "{\"other\": 1}"), version(world.agent, 2, "{}")] {
        let mut tx = world.store.begin().await.unwrap();
        let error = tx.insert_version(world.tenant, &taken).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    }
}

pub(super) async fn an_alias_is_replaced(store: Any) {
    let world = World::new(store).await;
    let alias = |text: &str, targets: &[(u32, u32)]| {
        let targets = targets
            .iter()
            .map(|(version, weight)| AliasTarget { version: *version, weight: *weight });
        Alias::new(world.agent, name(text), targets.collect()).unwrap()
    };
    let mut tx = world.store.begin().await.unwrap();
    tx.set_alias(world.tenant, &alias("stable", &[(1, 1)])).await.unwrap();
    tx.set_alias(world.tenant, &alias("canary", &[(1, 1)])).await.unwrap();
    tx.set_alias(world.tenant, &alias("stable", &[(1, 9), (2, u32::MAX)])).await.unwrap();
    tx.commit().await.unwrap();
    let expected = [alias("canary", &[(1, 1)]), alias("stable", &[(1, 9), (2, u32::MAX)])];
    assert_eq!(world.store.list_aliases(world.tenant, world.agent).await.unwrap(), expected);
}
