//! Runs: saved, found, listed and locked.

use std::time::Duration;

use tenure_core::run::{Outcome, WaitReason};
use tenure_core::{Digest, Failure, Payload, Run, RunId, RunState, StateName, TenantId, Timestamp};
use tenure_store::{Locked, RunFilter, RunKey, StoreError};

use super::Any;
use crate::world::{START, World, agent, commit, version};

/// A run in each shape that a row can have.
async fn one_of_each(world: &mut World) -> Vec<Run> {
    let queued = world.create().await;
    let leased = world.create_leased().await;
    let asked = world.create_leased().await;
    let grace = Duration::from_secs(30);
    let asked = world.act(&asked, |run, now| run.cancel("enough", now, grace).unwrap().unwrap());
    let asked = asked.await;
    let mut runs = vec![queued, leased, asked];
    let failure = Failure::retryable("http_500", "it was not well");
    for outcome in [
        Outcome::Suspend { inbox: 0, wake_after: None },
        Outcome::Suspend { inbox: 0, wake_after: Some(grace) },
        Outcome::Block(failure.clone()),
        Outcome::Succeed(Payload { encoding: "zstd".into(), ..Payload::json("{\"ok\": true}") }),
        Outcome::Fail { failure, retry_after: None },
    ] {
        let run = world.create_leased().await;
        runs.push(world.commit(&run, Vec::new(), Some(outcome)).await);
    }
    let run = world.create().await;
    let cancel = world.act(&run, |run, now| run.cancel("no more", now, grace).unwrap().unwrap());
    runs.push(cancel.await);
    runs
}

pub(super) async fn a_run_comes_back_as_it_was_saved(store: Any) {
    let mut world = World::new(store).await;
    let runs = one_of_each(&mut world).await;
    let waiting =
        |run: &&Run| matches!(run.state, RunState::Waiting { reason: WaitReason::Blocked(_) });
    assert_eq!(runs.iter().filter(waiting).count(), 1);
    for run in &runs {
        let full = world.store.find_run(world.tenant, run.id).await.unwrap().unwrap();
        assert_eq!(full.run, *run);
        assert_eq!(full.agent.as_str(), "writer");
        assert_eq!(full.input.data, "{\"topic\": \"tides\"}");
        assert_eq!(full.labels["team"], "réd \"1\"");
    }
    let nobody = RunId::new(world.id());
    assert_eq!(world.store.find_run(world.tenant, nobody).await.unwrap(), None);
}

/// A pause without end: times saturate, and both databases keep the last one.
pub(super) async fn the_end_of_time_can_be_saved(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let failure = Failure::retryable("later", "much later");
    let outcome = Outcome::Fail { failure, retry_after: Some(Duration::MAX) };
    let run = world.commit(&run, Vec::new(), Some(outcome)).await;
    let ready_at = Timestamp::from_micros(i64::MAX);
    assert_eq!(run.state, RunState::Queued { ready_at });
    assert_eq!(world.stored(&run).await, run);
}

pub(super) async fn a_run_is_listed_without_its_payloads(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let outcome = Outcome::Succeed(Payload::json("[]"));
    world.commit(&run, Vec::new(), Some(outcome)).await;
    let page = world.store.list_runs(world.tenant, &RunFilter::default(), None, 9).await.unwrap();
    assert_eq!(page[0].input, Payload::default());
    assert_eq!(page[0].labels["team"], "réd \"1\"");
    let RunState::Succeeded { output, at } = &page[0].run.state else { panic!("{page:?}") };
    assert_eq!((output, *at), (&Payload::default(), START));
}

pub(super) async fn runs_are_filtered_and_paged(store: Any) {
    let mut world = World::new(store).await;
    let mut runs = one_of_each(&mut world).await;
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    let other = agent(world.tenant, world.id(), "reader");
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_agent(&other).await.unwrap();
    tx.insert_version(world.tenant, &version(other.id, 1, "{}")).await.unwrap();
    tx.commit().await.unwrap();

    let list = async |filter: RunFilter, before, limit| {
        let page = world.store.list_runs(world.tenant, &filter, before, limit).await.unwrap();
        page.into_iter().map(|full| full.run.id).collect::<Vec<_>>()
    };
    let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
    assert_eq!(list(RunFilter::default(), None, 99).await, ids);
    assert_eq!(list(RunFilter::default(), Some(ids[2]), 2).await, ids[3..5]);

    let states = vec![StateName::Waiting, StateName::Failed];
    let expected: Vec<_> =
        runs.iter().filter(|run| states.contains(&run.state.name())).map(|run| run.id).collect();
    let filter = RunFilter { states, agent: Some(world.agent) };
    assert_eq!(expected.len(), 4);
    assert_eq!(list(filter.clone(), None, 99).await, expected);
    assert_eq!(
        list(RunFilter { agent: None, ..filter }, Some(expected[0]), 1).await,
        expected[1..2]
    );
    let filter = RunFilter { agent: Some(other.id), ..RunFilter::default() };
    assert_eq!(list(filter, None, 99).await, []);
}

pub(super) async fn locking_answers_each_run_in_order(store: Any) {
    let mut world = World::new(store).await;
    let (one, two) = (world.create().await, world.create_leased().await);
    let nobody = RunId::new(world.id());
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.lock_runs(&[]).await.unwrap(), (START, vec![]));
    assert_eq!(
        tx.lock_runs(&[(world.tenant, nobody)]).await.unwrap(),
        (START, vec![Locked::Missing])
    );
    let asked = [two.id, nobody, one.id, two.id].map(|run| (world.tenant, run));
    let (now, locked) = tx.lock_runs(&asked).await.unwrap();
    let found = |run: &Run| Locked::Run(run.clone().into());
    assert_eq!(locked, [found(&two), Locked::Missing, found(&one), found(&two)]);
    assert_eq!((now, tx.now().await.unwrap()), (START, START));
}

pub(super) async fn an_old_revision_is_a_conflict(store: Any) {
    let mut world = World::new(store).await;
    let (run, other) = (world.create_leased().await, world.create_leased().await);
    let lease = run.lease_held().unwrap().id;
    let beat = run.beat(lease, START, Duration::from_mins(1)).unwrap();
    world.save(std::slice::from_ref(&beat)).await;

    // The other run's transition is good, and is not saved either.
    let stale = run.beat(lease, START, Duration::from_mins(2)).unwrap();
    let good = other.beat(other.lease_held().unwrap().id, START, Duration::from_mins(2)).unwrap();
    let mut tx = world.store.begin().await.unwrap();
    let error = tx.save(&[good, stale]).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    drop(tx);
    assert_eq!(world.stored(&run).await, beat.run);
    assert_eq!(world.stored(&other).await, other);
}

pub(super) async fn a_new_run_with_a_taken_id_is_a_conflict(store: Any) {
    let mut world = World::new(store).await;
    let created = world.new_run("default", START);
    world.save(std::slice::from_ref(&created)).await;
    let mut tx = world.store.begin().await.unwrap();
    let error = tx.save(&[created]).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
}

pub(super) async fn a_transaction_that_failed_cannot_be_committed(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let stale = run.beat(run.lease_held().unwrap().id, START, Duration::ZERO).unwrap();
    world.save(std::slice::from_ref(&stale)).await;
    let created = world.new_run("default", START);
    let mut tx = world.store.begin().await.unwrap();
    tx.save(&[created.clone(), stale]).await.unwrap_err();
    tx.commit().await.unwrap_err();
    assert_eq!(world.store.find_run(world.tenant, created.run.id).await.unwrap(), None);
}

pub(super) async fn a_dropped_transaction_has_no_effect(store: Any) {
    let mut world = World::new(store).await;
    let created = world.new_run("default", START);
    let mut tx = world.store.begin().await.unwrap();
    tx.save(std::slice::from_ref(&created)).await.unwrap();
    drop(tx);
    assert_eq!(world.store.find_run(world.tenant, created.run.id).await.unwrap(), None);
    assert!(world.ready(&["default"], 9).await.is_empty());
}

pub(super) async fn a_key_belongs_to_the_first_run(store: Any) {
    let mut world = World::new(store).await;
    let (own, stranger) = (world.tenant, TenantId::new(world.id()));
    let mut key = |tenant, key: &str| RunKey {
        tenant,
        key: key.into(),
        digest: Digest::of(key),
        run: RunId::new(world.id()),
    };
    let (a, b, again) = (key(own, "a"), key(own, "b"), key(own, "a"));
    let elsewhere = key(stranger, "a");
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.reserve_keys(&[]).await.unwrap(), []);
    let answer = tx.reserve_keys(&[b, a.clone(), again.clone()]).await.unwrap();
    assert_eq!(answer, [None, None, Some(a.clone())]);
    tx.commit().await.unwrap();
    let mut tx = world.store.begin().await.unwrap();
    let answer = tx.reserve_keys(&[again, elsewhere]).await.unwrap();
    assert_eq!(answer, [Some(a), None]);
}

/// WALL.
pub(super) async fn other_tenants_see_nothing(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create().await;
    let stranger = TenantId::new(world.id());
    let store = &world.store;
    assert_eq!(store.find_run(stranger, run.id).await.unwrap(), None);
    assert_eq!(store.list_runs(stranger, &RunFilter::default(), None, 9).await.unwrap(), []);
    assert_eq!(store.find_version(stranger, run.agent, 1).await.unwrap(), None);
    assert_eq!(store.find_spec(stranger, &Digest::of("{}")).await.unwrap(), None);
    assert_eq!(store.list_agents(stranger, None, 9).await.unwrap(), []);
    let mut tx = store.begin().await.unwrap();
    let pools = [run.pool.clone()];
    assert_eq!(tx.lock_ready(stranger, &pools, 9).await.unwrap(), (START, vec![]));
    let (_, locked) = tx.lock_runs(&[(stranger, run.id)]).await.unwrap();
    assert_eq!(locked, [Locked::Missing]);
}

pub(super) async fn the_clock_can_be_set(store: Any) {
    let mut world = World::new(store).await;
    assert_eq!(world.store.now().await.unwrap(), START);
    let later = START + Duration::from_micros(1);
    world.store.set_clock(Some(later)).await.unwrap();
    assert_eq!(world.store.begin().await.unwrap().now().await.unwrap(), later);
    let run = world.create_leased().await;
    let late = commit(&run, Vec::new(), None);
    assert_eq!((run.created_at, late.expected_seq), (later, 1));
    // 2030 is far; the real time is before it, and the model's stands at 1970.
    world.store.set_clock(None).await.unwrap();
    assert!(world.store.now().await.unwrap() < START);
}
