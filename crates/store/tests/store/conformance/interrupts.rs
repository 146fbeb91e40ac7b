//! Interrupts.

use std::slice::from_ref;
use std::time::Duration;

use tenure_core::interrupt::Answer;
use tenure_core::run::{NewRun, Outcome};
use tenure_core::{
    AgentId, Decision, Effect, Interrupt, InterruptId, InterruptState, Payload, Question, Run,
    StateName, TenantId, Transition,
};
use tenure_store::{InterruptFilter, StoreError};

use super::Any;
use crate::world::{START, World, agent, asks, question, version};

const SECOND: Duration = Duration::from_secs(1);

fn answer(decision: Decision) -> Answer {
    let value =
        if decision.has_value() { Payload::json("{\"to\": \"bob\"}") } else { Payload::default() };
    Answer { decision, value, reason: "bécause".into(), actor: "ann".into() }
}

/// A run that asks these, opened at one moment.
async fn asking(world: &mut World, questions: &[(&str, Question)]) -> Run {
    let run = world.create_leased().await;
    let records = questions.iter().map(|(key, question)| asks(key, question.clone())).collect();
    world.commit(&run, records, None).await
}

async fn find(world: &World, run: &Run, key: &str) -> Interrupt {
    let id = Interrupt::id_of(run.id, &key.parse().unwrap());
    world.store.find_interrupt(run.tenant, id).await.unwrap().expect("an interrupt")
}

fn resolve(run: &Run, interrupt: &Interrupt, decision: Decision) -> Transition {
    let message = Payload::json("{}");
    run.resolve(interrupt, answer(decision), message, START).unwrap().unwrap()
}

pub(super) async fn an_interrupt_comes_back_as_it_was_opened(store: Any) {
    let mut world = World::new(store).await;
    let plain = Question { timeout: None, ..Question::default() };
    let run = asking(&mut world, &[("ask", question()), ("ask#1", plain.clone())]).await;
    let found = find(&world, &run, "ask").await;
    assert_eq!((found.question, found.opened_at), (question(), START));
    assert_eq!((found.run, found.agent, found.tenant), (run.id, run.agent, run.tenant));
    assert_eq!((found.due_at, found.state), (Some(START + SECOND * 60), InterruptState::Open));
    let found = find(&world, &run, "ask#1").await;
    assert_eq!((found.question, found.due_at), (plain, None));
    assert_eq!(run.interrupts, 2);
    let (nobody, stranger) = (InterruptId::new(world.id()), TenantId::new(world.id()));
    assert_eq!(world.store.find_interrupt(run.tenant, nobody).await.unwrap(), None);
    assert_eq!(world.store.find_interrupt(stranger, found.id).await.unwrap(), None);
}

pub(super) async fn an_interrupt_ends_once(store: Any) {
    let mut world = World::new(store).await;
    let run = asking(&mut world, &[("ask", question()), ("ask#1", question())]).await;
    let open = find(&world, &run, "ask").await;
    let edited = world.act(&run, |run, _| resolve(run, &open, Decision::Edit)).await;
    let found = find(&world, &run, "ask").await;
    let state = InterruptState::Answered { answer: answer(Decision::Edit), at: START };
    assert_eq!(found.state, state);
    assert_eq!(edited.interrupts, 1);

    // Only a transition that was made with an old row can try.
    let again = Run { inbox: 1, ..world.stored(&run).await };
    let again = resolve(&again, &open, Decision::Reject);
    let again = Transition {
        effects: again
            .effects
            .into_iter()
            .filter(|effect| matches!(effect, Effect::EndInterrupt { .. }))
            .collect(),
        ..again
    };
    let mut tx = world.store.begin().await.unwrap();
    let error = tx.save(&[again]).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    drop(tx);
    assert_eq!(find(&world, &run, "ask").await.state, state);
}

pub(super) async fn a_key_is_opened_once(store: Any) {
    let mut world = World::new(store).await;
    let run = asking(&mut world, &[("ask", question())]).await;
    let commit = crate::world::commit(&run, vec![asks("ask", question())], None);
    let again = crate::world::applied(run.commit(commit, START, SECOND).unwrap());
    let mut tx = world.store.begin().await.unwrap();
    let error = tx.save(&[again]).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
}

pub(super) async fn the_end_of_a_run_closes_its_interrupts(store: Any) {
    let mut world = World::new(store).await;
    let other = asking(&mut world, &[("ask", question())]).await;
    let run = asking(&mut world, &[("ask", question()), ("ask#1", question())]).await;
    let open = find(&world, &run, "ask").await;
    let run = world.act(&run, |run, _| resolve(run, &open, Decision::Approve)).await;
    // One that is opened with the last commit is closed with it.
    let last = vec![asks("ask#2", question())];
    let run = world.commit(&run, last, Some(Outcome::Succeed(Payload::default()))).await;
    assert_eq!((run.state.name(), run.interrupts), (StateName::Succeeded, 0));
    let closed = InterruptState::Closed { at: START };
    assert_eq!(find(&world, &run, "ask").await.state.as_str(), "answered");
    assert_eq!(find(&world, &run, "ask#1").await.state, closed);
    assert_eq!(find(&world, &run, "ask#2").await.state, closed);
    assert_eq!(find(&world, &other, "ask").await.state, InterruptState::Open);
}

pub(super) async fn interrupts_are_filtered_and_paged(store: Any) {
    let mut world = World::new(store).await;
    let second = agent(world.tenant, world.id(), "reader");
    let mut tx = world.store.begin().await.unwrap();
    assert!(tx.insert_agent(&second).await.unwrap());
    tx.insert_version(world.tenant, &version(second.id, 1, "{}")).await.unwrap();
    tx.commit().await.unwrap();
    let nobody = Question { assignee: String::new(), ..question() };
    let one = asking(&mut world, &[("a", question()), ("b", nobody.clone())]).await;
    world.store.set_clock(Some(START + SECOND)).await.unwrap();
    let two = NewRun { agent: second.id, ..world.given("default") };
    let two = world.create_of(two, true).await;
    let two = world.start(&two).await;
    let two = world.commit(&two, vec![asks("c", nobody)], None).await;
    let (a, c) = (find(&world, &one, "a").await, find(&world, &two, "c").await);
    world.act(&one, |run, _| resolve(run, &a, Decision::Approve)).await;
    let (a, b) = (find(&world, &one, "a").await, find(&world, &one, "b").await);

    let list = async |filter: InterruptFilter, after: Option<&Interrupt>, limit| {
        let after = after.map(|last| (last.opened_at, last.id));
        world.store.list_interrupts(world.tenant, &filter, after, limit).await.unwrap()
    };
    let open = InterruptFilter::default;
    let all = || InterruptFilter { all: true, ..open() };
    let mut oldest = [a.clone(), b.clone()];
    oldest.sort_by_key(|interrupt| interrupt.id);
    let in_order = [oldest[0].clone(), oldest[1].clone(), c.clone()];
    assert_eq!(list(open(), None, 9).await, [b.clone(), c.clone()]);
    assert_eq!(list(all(), None, 9).await, in_order);
    assert_eq!(list(all(), None, 2).await, in_order[..2]);
    assert_eq!(list(all(), Some(&in_order[0]), 1).await, in_order[1..2]);
    assert_eq!(list(open(), Some(&in_order[1]), 9).await, from_ref(&c));
    let of_run = |all| InterruptFilter { run: Some(one.id), all, ..open() };
    assert_eq!(list(of_run(false), None, 9).await, from_ref(&b));
    assert_eq!(list(of_run(true), None, 9).await, oldest);
    let of_agent = |agent: AgentId| InterruptFilter { agent: Some(agent), ..all() };
    assert_eq!(list(of_agent(second.id), None, 9).await, from_ref(&c));
    let before = InterruptFilter { opened_before: Some(START + SECOND), ..all() };
    assert_eq!(list(before, None, 9).await, oldest);
    let assigned = |to: &str| InterruptFilter { assignee: Some(to.into()), ..all() };
    assert_eq!(list(assigned("editors"), None, 9).await, [a]);
    assert_eq!(list(assigned(""), None, 9).await, [b, c]);
}

pub(super) async fn those_that_are_due_are_found_with_their_runs(store: Any) {
    let mut world = World::new(store).await;
    let within = |seconds| Question { timeout: Some(SECOND * seconds), ..question() };
    let soon = asking(&mut world, &[("a", within(2)), ("b", within(1))]).await;
    let later = asking(&mut world, &[("a", within(3)), ("b", within(9))]).await;
    let answered = asking(&mut world, &[("a", within(1))]).await;
    let open = find(&world, &answered, "a").await;
    world.act(&answered, |run, _| resolve(run, &open, Decision::Reject)).await;
    let due = async |seconds, limit| {
        world.store.set_clock(Some(START + SECOND * seconds)).await.unwrap();
        let mut tx = world.store.begin().await.unwrap();
        let (now, due) = tx.lock_due(limit).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(now, START + SECOND * seconds);
        due
    };
    assert_eq!(due(0, 9).await, []);
    let first = (soon.clone(), find(&world, &soon, "b").await);
    assert_eq!(due(2, 9).await, from_ref(&first), "each run with one");
    let second = (later.clone(), find(&world, &later, "a").await);
    assert_eq!(due(3, 9).await, [first.clone(), second]);
    assert_eq!(due(3, 1).await, from_ref(&first));

    let timed_out =
        world.act(&soon, |run, now| run.time_out(&first.1, None, now).unwrap().unwrap()).await;
    let state = InterruptState::TimedOut { at: START + SECOND * 3 };
    assert_eq!(find(&world, &soon, "b").await.state, state);
    assert_eq!(due(3, 1).await, [(timed_out, find(&world, &soon, "a").await)]);
}

pub(super) async fn interrupts_are_read_in_order(store: Any) {
    let mut world = World::new(store).await;
    let run = asking(&mut world, &[("a", question()), ("b", question())]).await;
    let (a, b) = (find(&world, &run, "a").await, find(&world, &run, "b").await);
    let (nobody, stranger) = (InterruptId::new(world.id()), TenantId::new(world.id()));
    let own = run.tenant;
    let asked = [(own, b.id), (own, nobody), (own, a.id), (own, b.id), (stranger, a.id)];
    let mut tx = world.store.begin().await.unwrap();
    let read = tx.read_interrupts(&asked).await.unwrap();
    assert_eq!(read, [Some(b.clone()), None, Some(a), Some(b), None]);
    assert_eq!(tx.read_interrupts(&[]).await.unwrap(), []);
}
