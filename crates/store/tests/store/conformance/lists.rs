//! Lists of runs.

use std::time::Duration;

use tenure_core::run::{Concurrency, NewRun, Outcome, Parent, Policy};
use tenure_core::{Payload, Run, RunId, RunState, StateName, TenantId};
use tenure_store::RunFilter;

use super::Any;
use super::runs::one_of_each;
use crate::world::{START, World, agent, ann, version};

const GRACE: Duration = Duration::from_secs(30);

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
    let filter = RunFilter { states, agent: Some(world.agent), ..RunFilter::default() };
    assert_eq!(expected.len(), 6);
    assert_eq!(list(filter.clone(), None, 99).await, expected);
    assert_eq!(
        list(RunFilter { agent: None, ..filter }, Some(expected[0]), 1).await,
        expected[1..2]
    );
    let filter = RunFilter { agent: Some(other.id), ..RunFilter::default() };
    assert_eq!(list(filter, None, 99).await, []);
}

pub(super) async fn runs_are_found_by_what_they_are_part_of(store: Any) {
    let mut world = World::new(store).await;
    one_of_each(&mut world).await;
    let concurrency = |key: &str| Some(Concurrency { key: key.into(), policy: Policy::Queue });
    let parent = |run| Some(Parent { run, key: "call".parse().unwrap(), detached: false });
    let caller = world.create().await.id;
    let called = NewRun { parent: parent(caller), ..world.given("default") };
    let called = world.create_of(called, true).await;
    let both = world.given("default");
    let both = NewRun { parent: parent(caller), concurrency: concurrency("k"), ..both };
    let both = world.create_of(both, true).await;
    let one = NewRun { concurrency: concurrency("k"), ..world.given("default") };
    let one = world.create_of(one, false).await;
    let ended = world.act(&one, |run, now| run.cancel(ann(""), now, GRACE).unwrap().unwrap()).await;

    let list = async |filter: RunFilter| {
        let page = world.store.list_runs(world.tenant, &filter, None, 99).await.unwrap();
        page.into_iter().map(|full| full.run).collect::<Vec<_>>()
    };
    let newest_first = |mut runs: Vec<&Run>| {
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        runs.into_iter().cloned().collect::<Vec<_>>()
    };
    let filter = RunFilter { parent: Some(caller), ..RunFilter::default() };
    assert_eq!(list(filter.clone()).await, newest_first(vec![&called, &both]));
    let of_key = RunFilter { concurrency: Some("k".into()), ..RunFilter::default() };
    assert_eq!(list(of_key.clone()).await, newest_first(vec![&both, &ended]));
    let alive = RunFilter { states: vec![StateName::Queued, StateName::Waiting], ..of_key.clone() };
    assert_eq!(list(alive).await, std::slice::from_ref(&both));
    assert_eq!(list(RunFilter { concurrency: of_key.concurrency, ..filter }).await, [both]);
}

pub(super) async fn runs_are_found_by_how_they_failed(store: Any) {
    let mut world = World::new(store).await;
    let runs = one_of_each(&mut world).await;
    let failed: Vec<_> =
        runs.into_iter().filter(|run| run.state.name() == StateName::Failed).collect();
    let list = async |filter: &RunFilter| {
        let page = world.store.list_runs(world.tenant, filter, None, 99).await.unwrap();
        page.into_iter().map(|full| full.run).collect::<Vec<_>>()
    };
    // A blocked run has the same failure, and has not failed.
    let filter = RunFilter { failure_code: Some("http_500".into()), ..RunFilter::default() };
    assert_eq!(list(&filter).await, failed);
    let filter = RunFilter { agent: Some(world.agent), ..filter };
    assert_eq!(list(&filter).await, failed);
    let filter = RunFilter { failure_code: Some("http_503".into()), ..filter };
    assert_eq!(list(&filter).await, []);
}

pub(super) async fn a_check_is_found_and_not_listed(store: Any) {
    let mut world = World::new(store).await;
    let checked = world.create().await;
    let check = NewRun { check: Some(checked.id), ..world.given("default") };
    let check = world.create_of(check, true).await;
    assert_eq!(world.stored(&check).await, check);
    let page = world.store.list_runs(world.tenant, &RunFilter::default(), None, 9).await.unwrap();
    assert_eq!(page.iter().map(|full| full.run.id).collect::<Vec<_>>(), [checked.id]);
}

pub(super) async fn inputs_are_read_in_order(store: Any) {
    let mut world = World::new(store).await;
    let mut runs = Vec::new();
    for input in ["\"one\"", "", "\"three\""] {
        let payload = Payload { encoding: "zstd".into(), ..Payload::json(input) };
        let new = NewRun { input: payload.clone(), ..world.given("default") };
        runs.push((world.create_of(new, true).await, Some(payload)));
    }
    let (first, second, third) = (&runs[0], &runs[1], &runs[2]);
    let (nobody, stranger) = (RunId::new(world.id()), TenantId::new(world.id()));
    let place = |of: &Run| (of.tenant, of.id);
    let asked = [
        place(&third.0),
        (world.tenant, nobody),
        place(&first.0),
        (stranger, first.0.id),
        place(&second.0),
        place(&third.0),
    ];
    let read = world.store.read_inputs(&asked).await.unwrap();
    let inputs = [&third.1, &None, &first.1, &None, &second.1, &third.1];
    assert_eq!(read.iter().collect::<Vec<_>>(), inputs);
    assert_eq!(world.store.read_inputs(&[]).await.unwrap(), []);
}
