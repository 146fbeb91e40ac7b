//! What was decided from memory: saved if everything is still as it was known, else not at all.

use std::time::Duration;

use tenure_core::queue::Capped;
use tenure_core::run::Outcome;
use tenure_core::{
    AgentId, Change, Digest, Effect, EntryKind, EntryStatus, Failure, LeaseId, Payload, Record,
    Run, RunId, TenantId, Transition, WorkerId,
};
use tenure_store::{AHEAD, BEHIND, Known, RunKey, SeenAgent};

use super::Any;
use crate::world::{START, TTL, World, ann, applied, commit, record, usage, version};

const MICROSECOND: Duration = Duration::from_micros(1);

fn seen(world: &World, latest: u32, uncapped: bool) -> SeenAgent {
    SeenAgent { tenant: world.tenant, agent: world.agent, latest, uncapped }
}

fn key(run: &Run) -> RunKey {
    let key = format!("ké{}", run.id);
    RunKey { tenant: run.tenant, digest: Digest::of(&key), key, run: run.id }
}

fn known(transitions: Vec<Transition>) -> Known {
    Known { transitions, at: START, ..Known::default() }
}

/// A new run that somebody has leased in the same breath.
fn seated(world: &mut World) -> Transition {
    let created = world.new_run("default", START);
    let (lease, worker) = (LeaseId::new(world.id()), WorkerId::new(world.id()));
    let leased = created.run.lease(lease, worker, START, TTL).unwrap();
    created.then(leased)
}

fn committed(run: &Run, outcome: Option<Outcome>) -> Transition {
    let failed = EntryStatus::Failed(Failure::retryable("http_503", "über ’lastet"));
    let done = |key| record(key, EntryStatus::Succeeded(Payload::json("{\"ok\": true}")));
    let mut records = vec![done("plan"), record("send", failed), done("think"), done("write")];
    records[2].usage = Some(usage("m-1", 7));
    applied(run.commit(commit(run, records, outcome), START, TTL).unwrap())
}

/// A called run has ended.
fn settled(run: &Run) -> Transition {
    let done = record("call", EntryStatus::Succeeded(Payload::json("1")));
    let usage = Some(usage("", 7));
    let records = vec![Record { kind: EntryKind::Child, usage, ..done }];
    applied(run.commit(commit(run, records, None), START, TTL).unwrap())
}

/// Something of everything that can be decided from memory, as it is known to be.
async fn batch(world: &mut World) -> Known {
    let (going, ending, cancelled) =
        (world.create_leased().await, world.create_leased().await, world.create().await);
    let calling = world.create_leased().await;
    let queued = world.new_run("default", START);
    let keys = vec![key(&queued.run)];
    let transitions = vec![
        queued,
        seated(world),
        committed(&going, None),
        committed(&ending, Some(Outcome::Succeed(Payload::json("42")))),
        settled(&calling),
        cancelled.cancel(ann("enough"), START, TTL).unwrap().unwrap(),
    ];
    Known { keys, agents: vec![seen(world, 1, true)], ..known(transitions) }
}

async fn save(world: &World, known: &Known) -> bool {
    world.store.save_known(known).await.unwrap()
}

/// It is not saved, and has no effect that could be seen.
async fn assert_refused(world: &World, known: &Known) {
    let mut before = Vec::new();
    for of in &known.transitions {
        before.push(world.store.find_run(of.run.tenant, of.run.id).await.unwrap());
    }
    let ready = world.ready(&["default"], 99).await;
    assert!(!save(world, known).await);
    for (of, before) in known.transitions.iter().zip(before) {
        let (tenant, run) = (of.run.tenant, of.run.id);
        assert_eq!(world.store.find_run(tenant, run).await.unwrap(), before);
        let journal = world.store.read_journal(tenant, run, 0, 99, usize::MAX).await.unwrap();
        assert_eq!(journal, [], "{run}");
    }
    assert_eq!(world.ready(&["default"], 99).await, ready);
}

/// Refused as it is, and saved when what was wrong has been mended: nothing was left in the way.
async fn assert_mended(world: &World, wrong: &Known, right: &Known) {
    assert_refused(world, wrong).await;
    assert!(save(world, right).await, "something of what was refused is still there");
    assert_saved(world, right).await;
}

async fn assert_saved(world: &World, known: &Known) {
    for Transition { run, effects, .. } in &known.transitions {
        assert_eq!(world.stored(run).await, *run);
        let journal = world.store.read_journal(run.tenant, run.id, 0, 99, usize::MAX).await;
        let appended = effects.iter().filter_map(|effect| match effect {
            Effect::Append(entry) => Some(entry),
            _ => None,
        });
        assert!(journal.unwrap().iter().eq(appended), "{}", run.id);
    }
}

pub(super) async fn what_is_as_it_was_known_is_saved(store: Any) {
    let mut world = World::new(store).await;
    let known = batch(&mut world).await;
    let changes: Vec<Change> = known.transitions.iter().map(|of| of.change).collect();
    assert_eq!(changes.iter().filter(|change| **change == Change::Advance).count(), 1);
    assert!(known.transitions.iter().all(Transition::is_plain));
    assert!(save(&world, &known).await);
    assert_saved(&world, &known).await;
    let queued = &known.transitions[0].run;
    assert_eq!(world.ready(&["default"], 9).await, [queued.id], "the others are not ready");
    let full = world.store.find_run(queued.tenant, queued.id).await.unwrap().unwrap();
    assert_eq!(
        (full.input.data, &*full.labels["team"]),
        ("{\"topic\": \"tides\"}".into(), "réd \"1\"")
    );
    let mut tx = world.store.begin().await.unwrap();
    let again = RunKey { run: RunId::new(world.id()), ..known.keys[0].clone() };
    assert_eq!(tx.reserve_keys(&[again]).await.unwrap(), [Some(known.keys[0].clone())]);
}

/// What was saved so can be known again: the row is the one that the next revision is compared with.
pub(super) async fn one_thing_after_another_is_saved(store: Any) {
    let mut world = World::new(store).await;
    let created = seated(&mut world);
    let first = committed(&created.run, None);
    let lease = created.run.lease_held().unwrap().id;
    let settled = settled(&first.run);
    let beat = settled.run.beat(lease, START, TTL * 2).unwrap();
    let released = commit(&beat.run, Vec::new(), Some(Outcome::Release));
    let released = applied(beat.run.commit(released, START, TTL).unwrap());
    let run = released.run.clone();
    for transition in [created, first, settled, beat, released] {
        let after = transition.run.clone();
        assert!(save(&world, &known(vec![transition])).await);
        assert_eq!(world.stored(&after).await, after);
    }
    assert_eq!((run.next_seq, run.usage.input_tokens, run.called.input_tokens), (6, 7, 7));
    assert_eq!(world.ready(&["default"], 9).await, [run.id]);
}

pub(super) async fn an_old_revision_saves_nothing(store: Any) {
    let mut world = World::new(store).await;
    let known = batch(&mut world).await;
    for place in 2..known.transitions.len() {
        let mut wrong = known.clone();
        wrong.transitions[place].before = Some(99);
        assert_refused(&world, &wrong).await;
    }
    let mut wrong = known.clone();
    wrong.transitions[2].run.id = RunId::new(world.id());
    assert_mended(&world, &wrong, &known).await;
    // All of it again is what nobody can have decided on what is there now.
    assert!(!save(&world, &known).await);
    assert_saved(&world, &known).await;
}

pub(super) async fn a_taken_id_or_key_saves_nothing(store: Any) {
    let mut world = World::new(store).await;
    let there = world.create().await;
    let known = batch(&mut world).await;
    let mut wrong = known.clone();
    wrong.transitions[0].run.id = there.id;
    assert!(!save(&world, &wrong).await);
    assert_eq!(world.stored(&there).await, there);
    let twice = RunKey { digest: Digest::of("other"), ..known.keys[0].clone() };
    let mut wrong = known.clone();
    wrong.keys.push(twice.clone());
    assert_refused(&world, &wrong).await;

    let taken = RunKey { key: "taken".into(), ..twice };
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.reserve_keys(std::slice::from_ref(&taken)).await.unwrap(), [None]);
    tx.commit().await.unwrap();
    let mut wrong = known.clone();
    wrong.keys.push(taken.clone());
    let mut right = known;
    right.keys.push(RunKey { tenant: TenantId::new(world.id()), ..taken });
    assert_mended(&world, &wrong, &right).await;
}

pub(super) async fn an_agent_with_a_newer_version_saves_nothing(store: Any) {
    let mut world = World::new(store).await;
    let known = batch(&mut world).await;
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_version(world.tenant, &version(world.agent, 2, "{\"n\": 2}")).await.unwrap();
    tx.commit().await.unwrap();
    let right = Known { agents: vec![seen(&world, 2, true)], ..known.clone() };
    let mut wrong = known;
    wrong.agents.push(right.agents[0]);
    assert_mended(&world, &wrong, &right).await;
}

pub(super) async fn an_agent_that_is_not_there_saves_nothing(store: Any) {
    let mut world = World::new(store).await;
    let known = batch(&mut world).await;
    for stranger in [
        SeenAgent { tenant: TenantId::new(world.id()), ..known.agents[0] },
        SeenAgent { agent: AgentId::new(world.id()), uncapped: false, ..known.agents[0] },
    ] {
        let wrong = Known { agents: vec![known.agents[0], stranger], ..known.clone() };
        assert_refused(&world, &wrong).await;
    }
    assert!(save(&world, &known).await);
}

pub(super) async fn a_cap_saves_nothing_that_is_not_counted(store: Any) {
    let mut world = World::new(store).await;
    let (tenant, agent) = (world.tenant, world.agent);
    for of in [(tenant, None), (tenant, Some(agent))] {
        let known = batch(&mut world).await;
        set_cap(&world, of, Some(9)).await;
        assert_refused(&world, &known).await;
        // Whoever only queues does not care.
        let mut queues = self::known(vec![world.new_run("gpu", START)]);
        queues.agents = vec![seen(&world, 1, false)];
        assert!(save(&world, &queues).await);
        set_cap(&world, of, None).await;
        assert!(save(&world, &known).await, "the cap is gone");
        assert_saved(&world, &known).await;
    }
}

async fn set_cap(world: &World, of: Capped, limit: Option<u32>) {
    let mut tx = world.store.begin().await.unwrap();
    assert!(tx.set_cap(of, limit).await.unwrap());
    tx.commit().await.unwrap();
}

/// Decided at a time that the database's clock does not agree with.
pub(super) async fn another_time_saves_nothing(store: Any) {
    let mut world = World::new(store).await;
    let early = Known { at: START - BEHIND, ..batch(&mut world).await };
    let wrong = Known { at: early.at - MICROSECOND, ..early.clone() };
    assert_mended(&world, &wrong, &early).await;
    let late = Known { at: START + AHEAD, ..batch(&mut world).await };
    let wrong = Known { at: late.at + MICROSECOND, ..late.clone() };
    assert_mended(&world, &wrong, &late).await;
}

/// The claim looks at the queue, and so does whoever counts who is ahead.
pub(super) async fn a_run_that_is_leased_at_once_was_never_in_the_queue(store: Any) {
    let mut world = World::new(store).await;
    let seated = seated(&mut world);
    assert!(save(&world, &known(vec![seated.clone()])).await);
    let run = seated.run;
    let mut tx = world.store.begin().await.unwrap();
    let places = [(run.tenant, run.pool.clone())];
    assert_eq!(tx.find_ready(&places, 9).await.unwrap(), []);
    tx.commit().await.unwrap();
    let count = world.store.count_running((run.tenant, Some(run.agent))).await.unwrap();
    assert_eq!(count, 1, "it counts as leased");
    // It comes back like any other.
    world.store.set_clock(Some(START + TTL * 2)).await.unwrap();
    world.act(&run, |run, now| run.expire(now).unwrap()).await;
    world.store.set_clock(Some(START + TTL * 20)).await.unwrap();
    assert_eq!(world.ready(&["default"], 9).await, [run.id]);
}
