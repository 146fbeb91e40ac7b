//! Turns of concurrency keys.

use tenure_core::run::{Concurrency, NewRun, Policy};
use tenure_core::{Run, RunId, TenantId};
use tenure_store::Turn;

use super::Any;
use crate::world::{TTL, World, ann};

async fn take(world: &World, turns: &[Turn]) -> Vec<RunId> {
    let mut tx = world.store.begin().await.unwrap();
    let owners = tx.take_turns(turns).await.unwrap();
    tx.commit().await.unwrap();
    owners
}

async fn lock(world: &World, key: &str) -> (Option<RunId>, Option<RunId>) {
    let mut tx = world.store.begin().await.unwrap();
    let found = tx.lock_turn(world.tenant, key).await.unwrap();
    tx.commit().await.unwrap();
    found
}

async fn set(world: &World, key: &str, run: Option<RunId>) {
    let mut tx = world.store.begin().await.unwrap();
    tx.lock_turn(world.tenant, key).await.unwrap();
    tx.set_turn(world.tenant, key, run).await.unwrap();
    tx.commit().await.unwrap();
}

fn turn(tenant: TenantId, key: &str, run: RunId) -> Turn {
    Turn { tenant, key: key.into(), run }
}

pub(super) async fn a_turn_belongs_to_the_first(store: Any) {
    let mut world = World::new(store).await;
    let (own, stranger) = (world.tenant, TenantId::new(world.id()));
    let [a, b, c] = [(); 3].map(|()| RunId::new(world.id()));
    assert_eq!(take(&world, &[]).await, []);
    let asked = [turn(own, "z", a), turn(own, "é", b), turn(own, "z", c), turn(stranger, "z", c)];
    assert_eq!(take(&world, &asked).await, [a, b, a, c]);
    // Asked again, it keeps it.
    assert_eq!(take(&world, &[turn(own, "z", b), turn(own, "z", a)]).await, [a, a]);
    let find = async |key| world.store.find_turn(own, key).await.unwrap();
    assert_eq!((find("z").await, find("é").await, find("y").await), (Some(a), Some(b), None));
    set(&world, "z", Some(c)).await;
    assert_eq!(world.store.find_turn(own, "z").await.unwrap(), Some(c));
    set(&world, "z", None).await;
    assert_eq!(world.store.find_turn(own, "z").await.unwrap(), None);
    assert_eq!(world.store.find_turn(stranger, "z").await.unwrap(), Some(c));
    assert_eq!(take(&world, &[turn(own, "z", b)]).await, [b]);
}

/// A key that nobody has can be locked as well, and is free after that.
pub(super) async fn a_lock_takes_no_turn(store: Any) {
    let mut world = World::new(store).await;
    let run = RunId::new(world.id());
    assert_eq!(lock(&world, "k").await, (None, None));
    assert_eq!(world.store.find_turn(world.tenant, "k").await.unwrap(), None);
    assert_eq!(take(&world, &[turn(world.tenant, "k", run)]).await, [run]);
    assert_eq!(lock(&world, "k").await, (Some(run), None));
}

pub(super) async fn the_longest_waiting_is_next(store: Any) {
    let mut world = World::new(store).await;
    let mut waiting = Vec::new();
    for (key, turn) in [("k", true), ("k", false), ("k", false), ("other", false)] {
        let concurrency = Some(Concurrency { key: key.into(), policy: Policy::Queue });
        let new = NewRun { concurrency, ..world.given("default") };
        let run = world.create_of(new, turn).await;
        if key == "k" && !turn {
            waiting.push(run);
        }
    }
    waiting.sort_by_key(|run| run.id);
    assert_eq!(lock(&world, "k").await, (None, Some(waiting[0].id)));
    world.act(&waiting[0], |run, now| run.admit(now).unwrap()).await;
    assert_eq!(lock(&world, "k").await, (None, Some(waiting[1].id)));
    let cancel = |run: &Run, now| run.cancel(ann(""), now, TTL).unwrap().unwrap();
    world.act(&waiting[1], cancel).await;
    assert_eq!(lock(&world, "k").await, (None, None));
}
