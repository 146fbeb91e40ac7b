//! Resolve: one of the run's questions has its answer, or its time is up.

use super::{Run, Topic};
use crate::error::Result;
use crate::interrupt::{Answer, Interrupt, InterruptState};
use crate::journal::Failure;
use crate::payload::Payload;
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};

impl Run {
    /// Answers one of the run's interrupts, which was read while the run was locked. `message` is
    /// the answer as the run's code will see it. `None` if this very answer was given before; another
    /// one is a conflict (ANSWERED-ONCE).
    pub fn resolve(
        &self,
        interrupt: &Interrupt,
        answer: Answer,
        message: Payload,
        now: Timestamp,
    ) -> Result<Option<Transition>> {
        let answer = answer.checked()?;
        if !interrupt.takes(&answer)? {
            return Ok(None);
        }
        let state = InterruptState::Answered { answer, at: now };
        self.end_wait(interrupt, state, Ok(message), now).map(Some)
    }

    /// Ends an interrupt whose time is up: with its default, given as `message`, or as `timed_out`.
    /// `None` when nothing is due, which is how a sweep that read an old row finds out.
    pub fn time_out(
        &self,
        interrupt: &Interrupt,
        message: Option<Payload>,
        now: Timestamp,
    ) -> Result<Option<Transition>> {
        let open = interrupt.state == InterruptState::Open && !self.state.is_terminal();
        if !open || interrupt.due_at.is_none_or(|due_at| due_at > now) {
            return Ok(None);
        }
        let late = || Failure::permanent("timed_out", "nobody answered in time");
        let state = InterruptState::TimedOut { at: now };
        self.end_wait(interrupt, state, message.ok_or_else(late), now).map(Some)
    }

    fn end_wait(
        &self,
        interrupt: &Interrupt,
        state: InterruptState,
        result: Result<Payload, Failure>,
        now: Timestamp,
    ) -> Result<Transition> {
        let source = format!("interrupt:{}", interrupt.id);
        let mut ended =
            self.deliver(source, Topic::Wait(interrupt.key.clone()), result, None, now)?;
        ended.run.interrupts = ended.run.interrupts.saturating_sub(1);
        ended.effects.push(Effect::EndInterrupt { id: interrupt.id, state });
        Ok(ended)
    }
}
