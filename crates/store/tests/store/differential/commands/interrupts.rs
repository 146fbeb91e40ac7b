//! Interrupts: answered, or too late.

use tenure_core::interrupt::Answer;
use tenure_core::{Decision, Interrupt, Payload, Run, TenantId, Timestamp, Transition};
use tenure_store::{InterruptFilter, Locked};

use super::finish;
use crate::differential::Step;

/// Answers some question, one that has had an answer as well.
pub(super) async fn resolve(step: &mut Step<'_>, tenant: TenantId) {
    let filter = InterruptFilter { all: step.random.u32(..8) == 0, ..InterruptFilter::default() };
    let listed = step.store.list_interrupts(tenant, &filter, None, 9).await.unwrap();
    let Some(picked) = step.pick(&listed) else { return };
    let mut tx = step.store.begin().await.unwrap();
    let (now, locked) = tx.lock_runs(&[(tenant, picked.run)]).await.unwrap();
    let read = tx.read_interrupts(&[(tenant, picked.id)]).await.unwrap();
    step.note("read_interrupts", &read, read[0].is_some());
    let Locked::Run(run) = &locked[0] else { panic!("{locked:?}") };
    let resolved = answer(step, run, read[0].as_ref().unwrap(), now);
    finish(step, tx, &resolved).await;
}

fn answer(
    step: &mut Step<'_>,
    run: &Run,
    interrupt: &Interrupt,
    now: Timestamp,
) -> Vec<Transition> {
    let decision = step.pick(interrupt.question.decisions()).unwrap();
    let value = if decision.has_value() {
        Payload::json(format!("{}", step.random.u8(..)))
    } else {
        Payload::default()
    };
    let (reason, actor) = (format!("{}", step.random.bool()), "ann".to_owned());
    let answer = Answer { decision, value, reason, actor };
    let resolved = run.resolve(interrupt, answer, Payload::json("{}"), now);
    step.note("resolve", resolved.is_ok(), matches!(resolved, Ok(Some(_))));
    resolved.ok().flatten().into_iter().collect()
}

pub(super) async fn time_out(step: &mut Step<'_>) {
    let limit = step.random.usize(..3);
    let mut tx = step.store.begin().await.unwrap();
    let (now, due) = tx.lock_due(limit).await.unwrap();
    step.note("lock_due", (now, &due), !due.is_empty());
    let end = |(run, interrupt): &(Run, Interrupt)| {
        let default = interrupt.question.default.map(Decision::as_str).map(Payload::json);
        run.time_out(interrupt, default, now).unwrap().expect("one that is due")
    };
    let ended: Vec<_> = due.iter().map(end).collect();
    step.note("time out", ended.len(), !ended.is_empty());
    finish(step, tx, &ended).await;
}
