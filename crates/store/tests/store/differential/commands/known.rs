//! What is decided from memory, which may be wrong, and saved without a lock.

use std::time::Duration;

use tenure_core::run::NewRun;
use tenure_core::{AgentId, Change, Digest, LeaseId, Run, RunId, TenantId, Transition, WorkerId};
use tenure_store::{AHEAD, BEHIND, Known, RunKey, SeenAgent};

use super::create::new_run;
use crate::differential::Step;
use crate::world::TTL;

/// Saves these, which were decided just now, unless something is made to be otherwise.
pub(super) async fn save(step: &mut Step<'_>, transitions: Vec<Transition>) {
    settle(step, Known { transitions, ..Known::default() }).await;
}

/// New runs that concern nobody else, leased at once or not, under keys that may be taken, of an agent
/// as it was seen or not.
pub(super) async fn create(step: &mut Step<'_>, tenant: TenantId, agent: AgentId) {
    let now = step.store.heard_now().expect("a clock that was set").latest;
    let mut known = Known::default();
    for _ in 0..=step.random.u32(..2) {
        let id = RunId::new(step.id());
        let new = new_run(step, tenant, agent, id).await;
        let new = NewRun { concurrency: None, parent: None, ..new };
        let created = Run::create(new, true, now).unwrap();
        known.transitions.push(seated(step, created));
        let key = format!("key-{}", step.random.u32(..300));
        known.keys.push(RunKey { tenant, digest: Digest::of(&key), key, run: id });
    }
    let found = step.store.get_agent(tenant, agent).await.unwrap().unwrap();
    let newest = step.random.u32(..6) > 0;
    let latest = if newest { found.latest } else { found.latest + 1 };
    known.agents.push(SeenAgent { tenant, agent, latest, uncapped: step.random.bool() });
    settle(step, known).await;
}

/// Leased in the same breath, if it can be and luck will have it.
fn seated(step: &mut Step<'_>, created: Transition) -> Transition {
    let (lease, worker) = (LeaseId::new(step.id()), WorkerId::new(step.id()));
    let leased = created.run.lease(lease, worker, created.run.created_at, TTL);
    match leased {
        Ok(leased) if step.random.bool() => {
            step.note("seat", (), true);
            created.then(leased)
        }
        _ => created,
    }
}

async fn settle(step: &mut Step<'_>, mut known: Known) {
    assert!(known.transitions.iter().all(Transition::is_plain));
    let now = step.store.heard_now();
    step.note("heard_now", now, now.is_some());
    known.at = now.unwrap().latest;
    spoil(step, &mut known);
    let saved = step.store.save_known(&known).await.unwrap();
    step.note(if saved { "save_known" } else { "save_known (otherwise)" }, saved, true);
    let advances = |of: &Transition| of.before.is_some() && of.change == Change::Advance;
    let advanced = known.transitions.iter().filter(|of| advances(of)).count();
    step.note("advance", advanced, saved && advanced > 0);
}

/// Makes something of it wrong, now and then.
fn spoil(step: &mut Step<'_>, known: &mut Known) {
    let moment = Duration::from_micros(1);
    match step.random.u32(..12) {
        0 => known.at = known.at + AHEAD + moment,
        1 => known.at = known.at - BEHIND - moment,
        // As wrong as it may be.
        2 => known.at = known.at + AHEAD,
        3 => known.at = known.at - BEHIND,
        4 => {
            let place = step.random.usize(..known.transitions.len());
            let before = &mut known.transitions[place].before;
            *before = Some(before.map_or(0, |revision| revision + 1));
        }
        5 => known.keys.extend(known.keys.first().cloned()),
        _ => {}
    }
}
