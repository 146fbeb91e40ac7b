//! Allowances: what is spent of them, and what is reserved.

use std::time::Duration;

use tenure_core::allowance::{Allowance, Estimate, HOLD, Hold, Period, Standing};
use tenure_core::{
    AgentId, Budget, EntryKind, EntryStatus, Opening, Payload, Record, Run, Timestamp, Usage,
};

use super::Any;
use crate::world::{START, World, applied, calls, commit, name, record};

const DOLLAR: u64 = 1_000_000;

async fn set(world: &World, agent: Option<AgentId>, period: Period, budget: Budget) -> bool {
    let allowance = Allowance { tenant: world.tenant, agent, period, budget };
    let mut tx = world.store.begin().await.unwrap();
    let set = tx.set_allowance(&allowance).await.unwrap();
    tx.commit().await.unwrap();
    set
}

fn cost(dollars: u64) -> Budget {
    Budget { cost_micros: Some(dollars * DOLLAR), ..Budget::default() }
}

async fn standings(world: &World) -> Vec<Standing> {
    world.store.list_standings(world.tenant).await.unwrap().1
}

fn consumed(tokens: u64) -> Usage {
    let (input_tokens, output_tokens) = (tokens, tokens);
    let (cached_tokens, reasoning_tokens) = (1, 2);
    let model = "m-1".into();
    let cost_micros = tokens * 10;
    Usage {
        model,
        input_tokens,
        output_tokens,
        cached_tokens,
        reasoning_tokens,
        cost_micros,
        ..Usage::default()
    }
}

/// The result of a model call that consumed this much.
fn answered(key: &str, tokens: u64) -> Record {
    let usage = Some(consumed(tokens));
    let done = EntryStatus::Succeeded(Payload::json("{}"));
    Record { kind: EntryKind::Model, usage, ..record(key, done) }
}

fn tool(key: &str, status: EntryStatus) -> Record {
    Record { kind: EntryKind::Tool, ..record(key, status) }
}

async fn append(world: &mut World, run: &Run, records: Vec<Record>) -> Run {
    world
        .act(run, |run, now| {
            applied(
                run.commit(commit(run, records.clone(), None), now, Duration::from_mins(1))
                    .unwrap(),
            )
        })
        .await
}

pub(super) async fn an_allowance_is_set_and_removed(store: Any) {
    let world = World::new(store).await;
    assert_eq!(standings(&world).await, []);
    assert!(!set(&world, None, Period::Day, Budget::default()).await, "there is none to remove");
    assert!(!world.store.find_tenant(&name("acme")).await.unwrap().unwrap().metered);
    assert!(set(&world, Some(world.agent), Period::Month, cost(9)).await);
    assert!(set(&world, None, Period::Month, cost(3)).await);
    let all = Budget { cost_micros: Some(1), tokens: Some(2), tool_calls: Some(3) };
    assert!(set(&world, None, Period::Day, cost(2)).await);
    assert!(set(&world, None, Period::Day, all).await, "it is replaced");
    let found: Vec<_> = standings(&world).await;
    let shown: Vec<_> = found
        .iter()
        .map(|Standing { allowance, .. }| (allowance.agent, allowance.period, allowance.budget))
        .collect();
    let expected = [
        (None, Period::Day, all),
        (None, Period::Month, cost(3)),
        (Some(world.agent), Period::Month, cost(9)),
    ];
    assert_eq!(shown, expected);
    assert!(world.store.find_tenant(&name("acme")).await.unwrap().unwrap().metered);
    assert!(world.store.list_tenants(None, 9).await.unwrap()[0].metered);
    for (agent, period, _) in expected {
        assert!(set(&world, agent, period, Budget::default()).await);
    }
    assert_eq!(standings(&world).await, []);
}

pub(super) async fn what_is_spent_is_summed_by_day(store: Any) {
    let mut world = World::new(store).await;
    set(&world, None, Period::Day, cost(1)).await;
    set(&world, None, Period::Month, cost(1)).await;
    set(&world, Some(world.agent), Period::Month, cost(1)).await;
    let run = world.create_leased().await;
    let again = EntryStatus::Opened(Opening::Again);
    let done = || EntryStatus::Succeeded(Payload::json("{}"));
    let records = vec![
        answered("turn/0/model", 10),
        tool("turn/0/call/0/tool:a", done()),
        tool("turn/0/call/1/tool:b", done()),
        tool("turn/0/call/1/tool:b", again),
        calls("turn/0/call/2/agent:c", false),
        answered("turn/1/model", 5),
    ];
    append(&mut world, &run, records).await;
    let one = Usage {
        cached_tokens: 2,
        reasoning_tokens: 4,
        tool_calls: 1,
        model: String::new(),
        ..consumed(15)
    };
    let spent =
        |standings: Vec<Standing>| standings.into_iter().map(|it| it.spent).collect::<Vec<_>>();
    assert_eq!(spent(standings(&world).await), vec![one.clone(); 3]);

    let tomorrow = START + Duration::from_hours(24);
    world.store.set_clock(Some(tomorrow)).await.unwrap();
    let run = world.create_leased().await;
    append(&mut world, &run, vec![answered("turn/0/model", 1)]).await;
    let today = Usage { model: String::new(), ..consumed(1) };
    let mut month = one;
    month.add(&today);
    let same_month = Period::Month.first_day(START) == Period::Month.first_day(tomorrow);
    assert!(same_month, "the test's days are of one month");
    assert_eq!(spent(standings(&world).await), [today, month.clone(), month]);
}

async fn hold(world: &World, run: &Run, key: &str, tokens: u64) -> (Timestamp, Vec<Standing>) {
    let mut tx = world.store.begin().await.unwrap();
    let (now, standings) = tx.lock_allowances(world.tenant, world.agent).await.unwrap();
    let estimate = Estimate { cost_micros: Some(tokens * 10), tokens };
    let (tenant, agent) = (world.tenant, world.agent);
    let key = key.parse().unwrap();
    let hold = Hold { tenant, run: run.id, agent, key, estimate, until: now + HOLD };
    tx.hold(&hold, now).await.unwrap();
    tx.commit().await.unwrap();
    (now, standings)
}

pub(super) async fn what_is_held_counts_until_it_is_recorded(store: Any) {
    let mut world = World::new(store).await;
    set(&world, None, Period::Day, cost(1)).await;
    set(&world, Some(world.agent), Period::Day, cost(1)).await;
    let other = AgentId::new(world.id());
    set(&world, Some(other), Period::Day, cost(1)).await;
    let run = world.create_leased().await;
    let (now, before) = hold(&world, &run, "turn/0/model", 7).await;
    assert_eq!((now, before.len()), (START, 2), "another agent's is not locked");
    hold(&world, &run, "turn/0/model", 9).await;
    let (_, seen) = hold(&world, &run, "turn/1/model", 2).await;
    assert_eq!(seen[0].held, Estimate { cost_micros: Some(90), tokens: 9 }, "instead of the first");
    let held: Vec<_> = standings(&world).await.iter().map(|it| it.held.tokens).collect();
    let mut expected = [11, 11, 0];
    if other < world.agent {
        expected.swap(1, 2);
    }
    assert_eq!(held, expected);
    append(&mut world, &run, vec![answered("turn/0/model", 5)]).await;
    let after = standings(&world).await.remove(0);
    assert_eq!((after.held.tokens, after.spent.cost_micros), (2, 50));
}

pub(super) async fn what_is_held_is_forgotten_in_time(store: Any) {
    let mut world = World::new(store).await;
    set(&world, None, Period::Day, cost(1)).await;
    let run = world.create_leased().await;
    hold(&world, &run, "turn/0/model", 7).await;
    world.store.set_clock(Some(START + HOLD)).await.unwrap();
    assert_eq!(standings(&world).await[0].held.tokens, 0);
    let (_, seen) = hold(&world, &run, "turn/1/model", 1).await;
    assert_eq!(seen[0].held.tokens, 0);
    assert_eq!(standings(&world).await[0].held.tokens, 1);
}

/// Each of them through a transaction of its own, which may write to the same rows.
pub(super) async fn many_that_spend_at_once_lose_nothing(store: Any) {
    let mut world = World::new(store).await;
    set(&world, None, Period::Day, cost(1)).await;
    let mut transitions = Vec::new();
    for _ in 0..20 {
        let run = world.create_leased().await;
        let records = vec![answered("turn/0/model", 1)];
        let committed = run.commit(commit(&run, records, None), START, Duration::from_mins(1));
        transitions.push(applied(committed.unwrap()));
    }
    let saved = transitions.into_iter().map(|transition| {
        let store = world.store.clone();
        tokio::spawn(async move {
            let mut tx = store.begin().await.unwrap();
            tx.save(&[transition]).await.unwrap();
            tx.commit().await.unwrap();
        })
    });
    for saved in saved.collect::<Vec<_>>() {
        saved.await.unwrap();
    }
    assert_eq!(standings(&world).await[0].spent.cost_micros, 200);
}
