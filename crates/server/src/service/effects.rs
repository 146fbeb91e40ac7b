//! Whom to wake for what a batch of transitions caused.

use tenure_core::{Effect, Transition};
use tenure_store::Hint;

/// The wake-ups that are due once these transitions are committed.
pub(crate) fn hints(transitions: &[Transition]) -> Vec<Hint> {
    let of = |transition: &Transition| {
        let run = &transition.run;
        let hint = |effect: &Effect| match effect {
            Effect::Enqueue { .. } => Some(Hint::Pool(run.tenant, run.pool.clone())),
            Effect::WakeOwner(worker) => Some(Hint::Worker(*worker)),
            Effect::WakeWatchers => Some(Hint::Run(run.tenant, run.id)),
            Effect::Open { .. } | Effect::Append(_) | Effect::Receive(_) | Effect::Dequeue => None,
        };
        transition.effects.iter().filter_map(hint).collect::<Vec<_>>()
    };
    transitions.iter().flat_map(of).collect()
}
