//! Messages between runs.

use std::time::Duration;

use tenure_core::run::{Concurrency, NewRun, Outcome, Parent, Policy};
use tenure_core::{Failure, Message, Payload, Run, RunId, StateName, Steering, TenantId};
use tenure_store::Posted;

use super::Any;
use crate::world::{START, TTL, World, ann, calls};

const RETRY: Duration = Duration::from_secs(10);

async fn take(world: &World, limit: usize) -> Vec<Posted> {
    let mut tx = world.store.begin().await.unwrap();
    let taken = tx.take_messages(limit, RETRY).await.unwrap();
    tx.commit().await.unwrap();
    taken
}

async fn drop_all(world: &World, messages: &[&Posted]) {
    let keys: Vec<_> = messages.iter().map(|at| (at.tenant, at.run, at.number)).collect();
    let mut tx = world.store.begin().await.unwrap();
    tx.drop_messages(&keys).await.unwrap();
    tx.commit().await.unwrap();
}

async fn cancel(world: &World, run: &Run) -> Run {
    world.act(run, |run, now| run.cancel(ann("no"), now, TTL).unwrap().unwrap()).await
}

/// A run with a caller and a concurrency key.
async fn called(world: &mut World, policy: Policy, turn: bool) -> Run {
    let parent = RunId::new(world.id());
    let parent = Parent { run: parent, key: "call".parse().unwrap(), detached: false };
    let concurrency = Some(Concurrency { key: "ké".into(), policy });
    let new = NewRun { parent: Some(parent), concurrency, ..world.given("default") };
    world.create_of(new, turn).await
}

pub(super) async fn a_message_comes_back_as_it_was_posted(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let records = vec![calls("call", false), calls("call#1", true)];
    let run = world.commit(&run, records, None).await;
    let taken = take(&world, 9).await;
    assert_eq!(taken.iter().map(|taken| taken.number).collect::<Vec<_>>(), [1, 2]);
    assert!(taken.iter().all(|taken| (taken.tenant, taken.run) == (world.tenant, run.id)));
    let Message::Call { key, call } = &taken[1].message else { panic!("{taken:?}") };
    assert_eq!((key.as_str(), call.agent.as_str(), call.detached), ("call#1", "writer", true));
    assert_eq!((&call.input, &*call.version), (&Payload::json("\"go\""), ""));
    assert_eq!(world.stored(&run).await, run);
}

pub(super) async fn the_end_of_a_run_is_told(store: Any) {
    let mut world = World::new(store).await;
    for outcome in [
        Outcome::Succeed(Payload::json("{}")),
        Outcome::Fail {
            failure: Failure::permanent("bad", "it wäs"),
            retry_after: None,
            again: Vec::new(),
        },
    ] {
        let run = called(&mut world, Policy::Queue, true).await;
        let parent = run.parent.clone().unwrap();
        let run = world.start(&run).await;
        let ended = world.commit(&run, Vec::new(), Some(outcome.clone())).await;
        let taken = take(&world, 9).await;
        let result = match outcome {
            Outcome::Succeed(output) => Ok(output),
            Outcome::Fail { failure, .. } => Err(failure),
            outcome => panic!("{outcome:?}"),
        };
        let usage = ended.total();
        let told = Message::Ended { parent: parent.run, key: parent.key, result, usage };
        let freed = Message::FreeTurn { key: "ké".into() };
        assert_eq!(taken.iter().map(|taken| &taken.message).collect::<Vec<_>>(), [&told, &freed]);
        assert_eq!(ended.posted, 2);
        drop_all(&world, &taken.iter().collect::<Vec<_>>()).await;
    }
    let replacing = called(&mut world, Policy::Replace, false).await;
    let taken = take(&world, 9).await;
    assert_eq!(taken[0].message, Message::TakeTurn { key: "ké".into() });
    assert_eq!((taken.len(), taken[0].run), (1, replacing.id));
}

pub(super) async fn a_message_is_taken_again_until_it_is_dropped(store: Any) {
    let mut world = World::new(store).await;
    let mut runs = Vec::new();
    for seconds in [0, 1, 2] {
        world.store.set_clock(Some(START + Duration::from_secs(seconds))).await.unwrap();
        let run = called(&mut world, Policy::Queue, true).await;
        runs.push(cancel(&world, &run).await.id);
    }
    let first = take(&world, 3).await;
    assert_eq!(
        first.iter().map(|taken| taken.run).collect::<Vec<_>>(),
        [runs[0], runs[0], runs[1]]
    );
    assert_eq!(first.iter().map(|taken| taken.number).collect::<Vec<_>>(), [1, 2, 1]);
    let second = take(&world, 9).await;
    assert_eq!(
        second.iter().map(|taken| taken.run).collect::<Vec<_>>(),
        [runs[1], runs[2], runs[2]]
    );
    assert_eq!(take(&world, 9).await, []);
    drop_all(&world, &[&first[0], &second[0], &first[0]]).await;
    let stranger = Posted { tenant: TenantId::new(world.id()), ..first[1].clone() };
    drop_all(&world, &[&stranger]).await;
    drop_all(&world, &[]).await;
    world.store.set_clock(Some(START + RETRY + Duration::from_secs(2))).await.unwrap();
    let mut again = take(&world, 9).await;
    again.sort_by_key(|taken| (taken.run, taken.number));
    let mut left: Vec<_> = first[1..].iter().chain(&second[1..]).cloned().collect();
    left.sort_by_key(|taken| (taken.run, taken.number));
    assert_eq!(again, left);
}

/// A caller that has ended calls nobody: its calls are looked at first.
pub(super) async fn called_runs_end_after_all_calls(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let records = vec![calls("call", false), calls("call#1", false)];
    let end = Some(Outcome::Succeed(Payload::default()));
    let run = world.commit(&run, records, end).await;
    assert_eq!((run.state.name(), run.children, run.posted), (StateName::Succeeded, 2, 3));
    let taken = take(&world, 9).await;
    assert_eq!(taken.iter().map(|taken| taken.number).collect::<Vec<_>>(), [1, 2]);
    drop_all(&world, &[&taken[0]]).await;
    assert_eq!(take(&world, 9).await, [], "a call is under way");
    drop_all(&world, &[&taken[1]]).await;
    let end = take(&world, 9).await;
    let why = format!("its caller {} succeeded", run.id);
    assert_eq!(end[0].message, Message::EndChildren { steering: Steering::system(why) });
}
