//! Whom to wake for what a batch of transitions caused.

use tenure_core::{Effect, Transition};
use tenure_store::Hint;

use crate::wake::Wake;

/// Wakes whom these transitions, which are committed, concern.
pub(crate) fn tell(wake: &Wake, transitions: &[Transition]) {
    let effects = || transitions.iter().flat_map(|transition| &transition.effects);
    if effects().any(|effect| matches!(effect, Effect::Post { .. })) {
        wake.posted.notify_one();
    }
    wake.tell(hints(transitions));
}

fn hints(transitions: &[Transition]) -> impl Iterator<Item = Hint> {
    transitions.iter().flat_map(hints_of)
}

fn hints_of(transition: &Transition) -> impl Iterator<Item = Hint> {
    let run = &transition.run;
    let ended = run.state.is_terminal().then_some(Hint::Ended(run.tenant, run.id));
    // A run that entered the queue and left it in one change was never there for others.
    let queued = run.ready_at().is_some();
    let hint = move |effect: &Effect| match effect {
        Effect::Enqueue { .. } if queued => Some(Hint::Pool(run.tenant, run.pool.clone())),
        Effect::WakeOwner(worker) => Some(Hint::Worker(*worker)),
        Effect::WakeWatchers => Some(Hint::Run(run.tenant, run.id)),
        Effect::Enqueue { .. }
        | Effect::Open { .. }
        | Effect::Append(_)
        | Effect::Receive(_)
        | Effect::OpenInterrupt(_)
        | Effect::EndInterrupt { .. }
        | Effect::CloseInterrupts { .. }
        | Effect::Post { .. }
        | Effect::Dequeue => None,
    };
    transition.effects.iter().filter_map(hint).chain(ended)
}
