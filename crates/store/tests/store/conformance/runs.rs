//! Runs: saved, found, listed and locked.

use std::time::Duration;

use tenure_core::run::{Concurrency, NewRun, Outcome, Parent, Policy, RetryPolicy, WaitReason};
use tenure_core::{AgentId, Digest, Failure, Payload, Run, RunId, RunState, TenantId, Timestamp};
use tenure_store::{HeardNow, Locked, RunFilter, RunKey, StoreError};

use super::Any;
use crate::world::{START, World, ann, commit};

const GRACE: Duration = Duration::from_secs(30);

/// A run in each shape that a row can have.
pub(super) async fn one_of_each(world: &mut World) -> Vec<Run> {
    let mut runs = vec![world.create().await, world.create_leased().await];
    runs.extend(steered(world).await);
    let failure = Failure::retryable("http_500", "it was not well");
    let on = vec!["approve".parse().unwrap(), "turn/2/ask#1".parse().unwrap()];
    for outcome in [
        Outcome::Suspend { inbox: 0, wake_after: None, on },
        Outcome::Suspend { inbox: 0, wake_after: Some(GRACE), on: Vec::new() },
        Outcome::Block(failure.clone()),
        Outcome::Succeed(Payload { encoding: "zstd".into(), ..Payload::json("{\"ok\": true}") }),
        Outcome::Fail { failure, retry_after: None, again: Vec::new() },
    ] {
        let run = world.create_leased().await;
        runs.push(world.commit(&run, Vec::new(), Some(outcome)).await);
    }
    let everything = given_everything(world);
    runs.push(world.create_of(everything, false).await);
    runs
}

/// Runs that somebody has steered, or has asked to.
async fn steered(world: &mut World) -> Vec<Run> {
    let (asked, resting) = (world.create_leased().await, world.create_leased().await);
    let (paused, cancelled) = (world.create().await, world.create().await);
    let cancel = |run: &Run, now| run.cancel(ann("énough"), now, GRACE).unwrap().unwrap();
    let pause = |run: &Run, now| run.pause(ann(""), now).unwrap().unwrap();
    vec![
        world.act(&asked, cancel).await,
        world.act(&cancelled, cancel).await,
        world.act(&resting, pause).await,
        world.act(&paused, pause).await,
    ]
}

/// A run with all that a creator can say, which waits for its turn.
fn given_everything(world: &mut World) -> NewRun {
    let parent = RunId::new(world.id());
    NewRun {
        start_after: GRACE,
        retry: RetryPolicy { limit: 3, backoff: GRACE, max_backoff: GRACE * 9 },
        priority: -9,
        timeout: Some(GRACE * 99),
        concurrency: Some(Concurrency { key: "ké\ny".into(), policy: Policy::Replace }),
        parent: Some(Parent { run: parent, key: "call#1".parse().unwrap(), detached: true }),
        depth: 16,
        entries: 7,
        ..world.given("default")
    }
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
    let outcome = Outcome::Fail { failure, retry_after: Some(Duration::MAX), again: Vec::new() };
    let run = world.commit(&run, Vec::new(), Some(outcome)).await;
    let ready_at = Timestamp::from_micros(i64::MAX);
    assert_eq!(run.state, RunState::Queued { ready_at });
    assert_eq!(world.stored(&run).await, run);
}

pub(super) async fn leased_runs_are_counted(store: Any) {
    let mut world = World::new(store).await;
    let (tenant, agent) = (world.tenant, world.agent);
    world.create().await;
    for _ in 0..2 {
        world.create_leased().await;
    }
    let nobody = AgentId::new(world.id());
    let count = async |of| world.store.count_running(of).await.unwrap();
    assert_eq!(count((tenant, None)).await, 2);
    assert_eq!(count((tenant, Some(agent))).await, 2);
    assert_eq!(count((tenant, Some(nobody))).await, 0);
    assert_eq!(count((TenantId::new(nobody.uuid()), None)).await, 0);
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
    let places = [(stranger, run.pool.clone())];
    assert_eq!(tx.find_ready(&places, 9).await.unwrap(), []);
    assert_eq!(tx.lock_ready(&[(stranger, run.id)]).await.unwrap(), (START, vec![]));
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

/// What is decided between two answers of the database is decided at this time.
pub(super) async fn a_clock_that_was_set_is_heard(store: Any) {
    let world = World::new(store).await;
    let store = &world.store;
    let stands = |at| Some(HeardNow { earliest: at, latest: at });
    assert_eq!(store.heard_now(), stands(START));
    let later = START + GRACE;
    store.set_clock(Some(later)).await.unwrap();
    assert_eq!(store.heard_now(), stands(later), "it stands still");
    store.set_clock(None).await.unwrap();
    let now = store.now().await.unwrap();
    let heard = store.heard_now().expect("it has been asked");
    assert!(now <= heard.latest && heard.latest < START, "never behind: {heard:?}");
    let next = store.now().await.unwrap();
    assert!(heard.earliest <= next, "never ahead: {heard:?}, {next}");
}
