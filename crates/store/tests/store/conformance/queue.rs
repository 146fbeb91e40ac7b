//! The queue and the sweep.

use std::time::Duration;

use tenure_core::queue::Ready;
use tenure_core::run::{NewRun, Outcome};
use tenure_core::{LeaseId, Name, Run, RunId, StateName, TenantId, WorkerId};

use super::Any;
use crate::world::{START, TTL, World, ann, name, next};

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
    let (now, locked) = next(&mut tx, &[(world.tenant, name("gpu"))], 9).await;
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
    let cancelled =
        world.act(&run, |run, now| run.cancel(ann(""), now, TTL).unwrap().unwrap()).await;
    assert_eq!(cancelled.state.name(), StateName::Cancelled);
    assert!(world.ready(&["default"], 9).await.is_empty());
}

/// The queue is read line by line: one for each priority.
pub(super) async fn the_first_of_each_priority_are_found(store: Any) {
    let mut world = World::new(store).await;
    let mut runs = Vec::new();
    for (priority, pause) in [(0, 2), (5, 3), (0, 1), (5, 4), (-9, 0), (9, 6)] {
        let start_after = SECOND * pause;
        let new = NewRun { priority, start_after, ..world.given("default") };
        runs.push(world.create_of(new, true).await);
    }
    world.store.set_clock(Some(START + SECOND * 5)).await.unwrap();
    let place = (world.tenant, name("default"));
    let find = async |places: &[(TenantId, Name)], limit| {
        let mut tx = world.store.begin().await.unwrap();
        let found = tx.find_ready(places, limit).await.unwrap();
        tx.commit().await.unwrap();
        found
    };
    let found = find(&[place.clone(), place.clone()], 9).await;
    let ids = |found: &[Ready]| found.iter().map(|ready| ready.run).collect::<Vec<_>>();
    assert_eq!(ids(&found), [1, 3, 2, 0, 4].map(|run: usize| runs[run].id));
    assert_eq!(found[0].priority, 5);
    assert_eq!((found[0].ready_at, found[0].lane), (START + SECOND * 3, None));
    let found = find(std::slice::from_ref(&place), 1).await;
    assert_eq!(ids(&found), [1, 2, 4].map(|run: usize| runs[run].id), "one of each");
    assert_eq!(find(&[place], 0).await, []);
    assert_eq!(find(&[], 9).await, []);
}

pub(super) async fn a_run_can_be_moved_within_the_queue(store: Any) {
    let mut world = World::new(store).await;
    let runs = five_ready(&mut world).await;
    world.store.set_clock(Some(START + SECOND * 9)).await.unwrap();
    let last = world.store.find_run(world.tenant, runs[4]).await.unwrap().unwrap().run;
    let move_to =
        |priority| move |run: &Run, now| run.prioritize(priority, ann(""), now).unwrap().unwrap();
    let moved = world.act(&last, move_to(1)).await;
    assert_eq!(
        world.ready(&["default", "gpu"], 9).await,
        [4, 0, 1, 2, 3].map(|run: usize| runs[run])
    );
    world.act(&moved, move_to(-1)).await;
    assert_eq!(world.ready(&["default", "gpu"], 9).await, runs);
}

pub(super) async fn those_ahead_are_counted(store: Any) {
    let mut world = World::new(store).await;
    let mut runs = Vec::new();
    for (priority, pause) in [(0, 1), (0, 2), (5, 4), (-1, 0), (0, 1)] {
        let start_after = SECOND * pause;
        let new = NewRun { priority, start_after, ..world.given("default") };
        runs.push(world.create_of(new, true).await.id);
    }
    let new = world.given("gpu");
    world.create_of(new, true).await;
    let ahead = async |run: usize, limit| {
        world.store.count_ahead(world.tenant, runs[run], limit).await.unwrap()
    };
    world.store.set_clock(Some(START + SECOND * 3)).await.unwrap();
    let first = u64::from(runs[4] < runs[0]);
    assert_eq!((ahead(0, 9).await, ahead(4, 9).await), (first, 1 - first));
    assert_eq!(ahead(1, 9).await, 2, "what is more urgent is not ready yet");
    assert_eq!(ahead(2, 9).await, 0);
    assert_eq!(ahead(3, 9).await, 3);
    world.store.set_clock(Some(START + SECOND * 4)).await.unwrap();
    assert_eq!((ahead(1, 9).await, ahead(3, 9).await, ahead(3, 2).await), (3, 4, 2));
    let nobody = RunId::new(world.id());
    assert_eq!(world.store.count_ahead(world.tenant, nobody, 9).await.unwrap(), 0);
}

pub(super) async fn what_was_found_is_looked_at_again(store: Any) {
    let mut world = World::new(store).await;
    let (good, leased) = (world.create().await, world.create_leased().await);
    let (later, nobody) = (world.new_run("default", START + SECOND), RunId::new(world.id()));
    world.save(std::slice::from_ref(&later)).await;
    let asked = [nobody, later.run.id, leased.id, good.id].map(|run| (world.tenant, run));
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.lock_ready(&asked).await.unwrap(), (START, vec![good.clone()]));
    assert_eq!(tx.lock_ready(&[]).await.unwrap(), (START, vec![]));
    tx.commit().await.unwrap();
    world.store.set_clock(Some(START + SECOND)).await.unwrap();
    assert_eq!(world.ready(&["default"], 9).await, [good.id, later.run.id]);
}

/// One write for several commands on a run, even for one that is new.
pub(super) async fn joined_transitions_leave_the_last_word(store: Any) {
    let mut world = World::new(store).await;
    let (lease, worker) = (LeaseId::new(world.id()), WorkerId::new(world.id()));
    let ended = world.new_run("default", START);
    let cancel = ended.run.cancel(ann(""), START, TTL).unwrap().unwrap();
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
    world.act(&forced, |run, now| run.cancel(ann(""), now, grace).unwrap().unwrap()).await;
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

pub(super) async fn passed_deadlines_are_found(store: Any) {
    let mut world = World::new(store).await;
    let timeout = Some(SECOND * 5);
    let mut runs = Vec::new();
    for _ in 0..4 {
        let new = NewRun { timeout, ..world.given("default") };
        runs.push(world.create_of(new, true).await);
    }
    let cancel = |run: &Run, now| run.cancel(ann(""), now, TTL).unwrap().unwrap();
    world.act(&runs[0], cancel).await;
    let leased = world.start(&runs[1]).await;
    let paused = world.act(&runs[2], |run, now| run.pause(ann(""), now).unwrap().unwrap()).await;
    let mut due = [leased, paused, runs[3].clone()];
    due.sort_by_key(|run| run.id);
    let late = async |after, limit| {
        world.store.set_clock(Some(START + after)).await.unwrap();
        let mut tx = world.store.begin().await.unwrap();
        let (_, runs) = tx.lock_expired(limit).await.unwrap();
        tx.commit().await.unwrap();
        runs
    };
    assert_eq!(late(SECOND * 4, 9).await, []);
    assert_eq!(late(SECOND * 5, 9).await, due);
    // Once, although its lease has expired as well; and before the others, however many they are.
    due.sort_by_key(|run| (run.lease_held().is_none(), run.id));
    assert_eq!(late(TTL * 2, 9).await, due);
    assert_eq!(late(TTL * 2, 1).await, due[..1]);
}

pub(super) async fn the_last_poll_of_a_pool_is_known(store: Any) {
    let world = World::new(store).await;
    let (gpu, default) = (name("gpu"), name("default"));
    let note = async |after, pools: &[&Name]| {
        world.store.set_clock(Some(START + after)).await.unwrap();
        let places: Vec<_> = pools.iter().map(|pool| (world.tenant, (*pool).clone())).collect();
        let mut tx = world.store.begin().await.unwrap();
        tx.note_polls(&places).await.unwrap();
        tx.commit().await.unwrap();
    };
    note(SECOND, &[&gpu, &default, &gpu]).await;
    note(SECOND * 2, &[&gpu]).await;
    note(SECOND * 3, &[]).await;
    let polled_at = async |pool: &Name| world.store.polled_at(world.tenant, pool).await.unwrap();
    assert_eq!(polled_at(&gpu).await, Some(START + SECOND * 2));
    assert_eq!(polled_at(&default).await, Some(START + SECOND));
    assert_eq!(polled_at(&name("cpu")).await, None);
}
