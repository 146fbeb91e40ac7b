//! Resolve: somebody answers an interrupt (ANSWERED-ONCE).

use std::sync::Arc;

use tenure_core::{
    Answer, Effect, Error, Interrupt, InterruptId, InterruptState, Payload, Result, Run, RunId,
};

use super::batch::Batch;
use crate::guard::Guard;
use crate::oracle::By;
use crate::world::World;

impl Batch {
    /// Answers an interrupt as it is under the lock of its run (ANSWERED-ONCE).
    pub(super) fn resolve(
        &mut self,
        world: &World,
        run: RunId,
        id: InterruptId,
        answer: &Answer,
    ) -> Result<Arc<Run>> {
        let found = self.interrupt(world, run, id);
        let mut found = found.ok_or_else(|| Error::not_found(format!("there is no {id}")))?;
        if world.plan.lacks(Guard::Answer) {
            found.state = InterruptState::Open;
        }
        self.change(world, run, By::Answer, |run, now| {
            run.resolve(&found, answer.clone(), answer_message(answer), now)
        })
    }

    fn interrupt(&self, world: &World, run: RunId, id: InterruptId) -> Option<Interrupt> {
        let mut found = world.store.interrupt(id)?.clone();
        for effect in self.effects(run) {
            if let Effect::EndInterrupt { id: ended, state } = effect
                && *ended == id
            {
                found.state = state.clone();
            }
        }
        Some(found)
    }
}

/// The answer as the run's code will see it.
fn answer_message(answer: &Answer) -> Payload {
    let Answer { decision, value, reason, .. } = answer;
    let mut message = serde_json::json!({ "decision": decision.as_str(), "reason": reason });
    if decision.has_value() {
        message["value"] = String::from_utf8_lossy(&value.data).into();
    }
    Payload::json(message.to_string())
}
