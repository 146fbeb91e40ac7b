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

fn hints(transitions: &[Transition]) -> Vec<Hint> {
    let of = |transition: &Transition| {
        let run = &transition.run;
        let hint = |effect: &Effect| match effect {
            Effect::Enqueue { .. } => Some(Hint::Pool(run.tenant, run.pool.clone())),
            Effect::WakeOwner(worker) => Some(Hint::Worker(*worker)),
            Effect::WakeWatchers => Some(Hint::Run(run.tenant, run.id)),
            Effect::Open { .. }
            | Effect::Append(_)
            | Effect::Receive(_)
            | Effect::OpenInterrupt(_)
            | Effect::EndInterrupt { .. }
            | Effect::CloseInterrupts { .. }
            | Effect::Post { .. }
            | Effect::Dequeue => None,
        };
        transition.effects.iter().filter_map(hint).collect::<Vec<_>>()
    };
    transitions.iter().flat_map(of).collect()
}
