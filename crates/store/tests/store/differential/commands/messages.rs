//! Messages: taken, done as the control plane does them, dropped.

use std::time::Duration;

use tenure_core::run::{NewRun, Parent, Topic};
use tenure_core::{Message, Run, RunId, StateName, TenantId, Transition};
use tenure_store::{Locked, Posted, RunFilter, Tx};

use super::{commit, create};
use crate::differential::Step;
use crate::world::{TTL, ann};

const RETRY: Duration = Duration::from_secs(5);

pub(super) async fn act(step: &mut Step<'_>) {
    let limit = step.random.usize(..4);
    let mut tx = step.store.begin().await.unwrap();
    let taken = tx.take_messages(limit, RETRY).await.unwrap();
    step.note("take_messages", &taken, !taken.is_empty());
    tx.commit().await.unwrap();
    for posted in taken {
        // Now and then somebody takes a message and is not seen again.
        if step.random.u32(..8) > 0 {
            work(step, posted).await;
        }
    }
}

/// Does what a message says. What has to be read for that is read before the transaction begins:
/// a database in memory has one connection.
async fn work(step: &mut Step<'_>, posted: Posted) {
    let of = (posted.tenant, posted.run);
    let (tx, done) = match posted.message {
        Message::Call { .. } => call(step, &posted).await,
        Message::Ended { .. } => tell(step, &posted).await,
        Message::EndChildren { .. } => {
            let children = RunFilter { parent: Some(posted.run), ..RunFilter::default() };
            cancel_all(step, of, children).await
        }
        Message::FreeTurn { ref key } => free_turn(step, of, key).await,
        Message::TakeTurn { ref key } => {
            let states = vec![StateName::Queued, StateName::Running, StateName::Waiting];
            let concurrency = Some(key.clone());
            cancel_all(step, of, RunFilter { concurrency, states, ..RunFilter::default() }).await
        }
    };
    finish(step, tx, &posted, &done).await;
}

async fn finish(step: &mut Step<'_>, mut tx: Box<dyn Tx>, posted: &Posted, done: &[Transition]) {
    tx.drop_messages(&[(posted.tenant, posted.run, posted.number)]).await.unwrap();
    step.note("drop_messages", posted.number, true);
    commit(step, tx, done).await;
}

type Work = (Box<dyn Tx>, Vec<Transition>);

async fn call(step: &mut Step<'_>, posted: &Posted) -> Work {
    let Message::Call { key, call } = &posted.message else { panic!("{posted:?}") };
    let agents = step.agents(posted.tenant).await;
    let (agent, id) = (step.pick(&agents).unwrap(), RunId::new(step.id()));
    let parent = Parent { run: posted.run, key: key.clone(), detached: call.detached };
    let child = NewRun {
        input: call.input.clone(),
        budget: call.budget,
        parent: Some(parent),
        concurrency: None,
        ..create::new_run(step, posted.tenant, agent, id).await
    };
    let mut tx = step.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    (tx, vec![Run::create(child, true, now).unwrap()])
}

async fn tell(step: &mut Step<'_>, posted: &Posted) -> Work {
    let Message::Ended { parent, key, result, usage } = &posted.message else {
        panic!("{posted:?}")
    };
    let mut tx = step.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    let source = format!("run:{}", posted.run);
    let told = lock(&mut tx, posted.tenant, *parent).await.and_then(|parent| {
        parent
            .deliver(source, Topic::Wait(key.clone()), result.clone(), Some(usage.clone()), now)
            .ok()
    });
    step.note("complete", told.is_some(), told.is_some());
    (tx, told.into_iter().collect())
}

async fn lock(tx: &mut Box<dyn Tx>, tenant: TenantId, run: RunId) -> Option<Run> {
    let (_, locked) = tx.lock_runs(&[(tenant, run)]).await.unwrap();
    match &locked[0] {
        Locked::Run(run) => Some((**run).clone()),
        Locked::Busy => panic!("{run} is busy"),
        Locked::Missing => None,
    }
}

/// Cancels all of these but the one that says so.
async fn cancel_all(
    step: &mut Step<'_>,
    (tenant, but): (TenantId, RunId),
    filter: RunFilter,
) -> Work {
    let listed = step.list(tenant, &filter).await;
    let asked: Vec<_> =
        listed.into_iter().filter(|run| *run != but).map(|run| (tenant, run)).collect();
    let mut tx = step.store.begin().await.unwrap();
    let (now, locked) = tx.lock_runs(&asked).await.unwrap();
    step.note("lock_runs", &locked, !locked.is_empty());
    let cancel = |locked: &Locked| match locked {
        Locked::Run(run) => run.cancel(ann("it is over"), now, TTL).unwrap(),
        Locked::Busy | Locked::Missing => panic!("{locked:?}"),
    };
    (tx, locked.iter().filter_map(cancel).collect())
}

async fn free_turn(step: &mut Step<'_>, (tenant, run): (TenantId, RunId), key: &str) -> Work {
    let mut tx = step.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    let (owner, next) = tx.lock_turn(tenant, key).await.unwrap();
    step.note("lock_turn", (owner, next), owner.is_some() && next.is_some());
    if owner.is_some_and(|owner| owner != run) {
        return (tx, Vec::new());
    }
    tx.set_turn(tenant, key, next).await.unwrap();
    step.note("set_turn", next, next.is_some());
    let Some(next) = next else { return (tx, Vec::new()) };
    let admitted = lock(&mut tx, tenant, next).await.unwrap().admit(now).unwrap();
    step.note("admit", (), true);
    (tx, vec![admitted])
}
