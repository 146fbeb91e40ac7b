//! The queue and the sweep.

use std::time::Duration;

use tenure_core::run::Outcome;
use tenure_core::{LeaseId, RunId, StateName, WorkerId};

use super::Any;
use crate::world::{START, TTL, World, name};

const SECOND: Duration = Duration::from_secs(1);

/// Runs that became ready one second after the other, oldest first, in turn in two pools.
async fn five_ready(world: &mut World) -> Vec<RunId> {
    let mut runs = Vec::new();
    for number in 0..5 {
        let pool = if number % 2 == 0 { "default" } else { "gpu" };
        let created = world.new_run(pool, START + SECOND * number);
        runs.push(created.run.id);
        world.save(&[created]).await;
    }
    runs
}

pub(super) async fn the_longest_ready_come_first(store: Any) {
    let mut world = World::new(store).await;
    let runs = five_ready(&mut world).await;
    world.store.set_clock(Some(START + SECOND * 9)).await.unwrap();
    assert_eq!(world.ready(&["gpu", "default"], 9).await, runs);
    assert_eq!(world.ready(&["default", "gpu", "gpu"], 3).await, runs[..3]);
    assert_eq!(world.ready(&["default"], 2).await, [runs[0], runs[2]]);
    assert!(world.ready(&["default"], 0).await.is_empty());
    assert!(world.ready(&[], 9).await.is_empty());
}

pub(super) async fn what_is_not_due_or_elsewhere_stays(store: Any) {
    let mut world = World::new(store).await;
    let runs = five_ready(&mut world).await;
    world.store.set_clock(Some(START + SECOND)).await.unwrap();
    assert_eq!(world.ready(&["gpu", "default"], 9).await, runs[..2]);
    assert_eq!(world.ready(&["gpu"], 9).await, runs[1..2]);
    assert!(world.ready(&["cpu"], 9).await.is_empty());
    let mut tx = world.store.begin().await.unwrap();
    let (now, locked) = tx.lock_ready(world.tenant, &[name("gpu")], 9).await.unwrap();
    assert_eq!(now, START + SECOND);
    drop(tx);
    assert_eq!(locked[0], world.stored(&locked[0]).await);
}

pub(super) async fn a_leased_run_has_left_the_queue(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    assert!(world.ready(&["default"], 9).await.is_empty());
    let run = world.commit(&run, Vec::new(), Some(Outcome::Release)).await;
    assert_eq!(world.ready(&["default"], 9).await, [run.id]);
    let cancelled = world.act(&run, |run, now| run.cancel("", now, TTL).unwrap().unwrap()).await;
    assert_eq!(cancelled.state.name(), StateName::Cancelled);
    assert!(world.ready(&["default"], 9).await.is_empty());
}

/// One write for several commands on a run, even for one that is new.
pub(super) async fn joined_transitions_leave_the_last_word(store: Any) {
    let mut world = World::new(store).await;
    let (lease, worker) = (LeaseId::new(world.id()), WorkerId::new(world.id()));
    let ended = world.new_run("default", START);
    let cancel = ended.run.cancel("", START, TTL).unwrap().unwrap();
    let back = world.new_run("default", START);
    let leased = back.run.lease(lease, worker, START, TTL).unwrap();
    let withdrawn = leased.run.withdraw(lease, START).unwrap();
    let (ended, back) = (ended.then(cancel), back.then(leased).then(withdrawn));
    world.save(&[ended.clone(), back.clone()]).await;
    assert_eq!(world.ready(&["default"], 9).await, [back.run.id]);
    assert_eq!(world.stored(&ended.run).await, ended.run);
    assert_eq!(world.stored(&back.run).await, back.run);
}

pub(super) async fn expired_leases_and_forced_cancels_are_found(store: Any) {
    let mut world = World::new(store).await;
    let lost = world.create_leased().await;
    let alive = world.create_leased().await;
    let forced = world.create_leased().await;
    let grace = TTL + SECOND;
    world.act(&forced, |run, now| run.cancel("", now, grace).unwrap().unwrap()).await;
    for run in [&alive, &forced] {
        let lease = run.lease_held().unwrap().id;
        world.act(run, |run, now| run.beat(lease, now, TTL * 4).unwrap()).await;
    }
    let expired = async |after, limit| {
        world.store.set_clock(Some(START + after)).await.unwrap();
        let mut tx = world.store.begin().await.unwrap();
        let (now, runs) = tx.lock_expired(limit).await.unwrap();
        // Not dropped: that gives the rows free in the background, after the next look.
        tx.commit().await.unwrap();
        assert_eq!(now, START + after);
        let mut runs: Vec<_> = runs.iter().map(|run| run.id).collect();
        runs.sort_unstable();
        runs
    };
    let mut both = [lost.id, forced.id];
    both.sort_unstable();
    assert!(expired(TTL, 9).await.is_empty(), "a lease is good to its last moment");
    assert_eq!(expired(TTL + Duration::from_micros(1), 9).await, [lost.id]);
    assert_eq!(expired(grace, 9).await, both);
    assert_eq!(expired(grace, 1).await.len(), 1);
}
