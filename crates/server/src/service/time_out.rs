//! Time out: interrupts that nobody has answered in time.

use tenure_core::{Result, Transition};

use super::resolve::default_message;
use super::{Service, effects};

/// Interrupts in one sweep: a page that is full is followed by the next at once.
const PAGE: usize = 100;

impl Service {
    /// Ends the interrupts whose time is up; how many.
    pub async fn time_out(&self) -> Result<usize> {
        let mut ended = 0;
        loop {
            let page = self.time_out_page().await?;
            ended += page;
            if page < PAGE {
                return Ok(ended);
            }
        }
    }

    async fn time_out_page(&self) -> Result<usize> {
        let mut tx = self.store.begin().await?;
        let (now, due) = tx.lock_due(PAGE).await?;
        let mut transitions: Vec<Transition> = Vec::with_capacity(due.len());
        for (run, interrupt) in &due {
            let default = interrupt.question.default.map(default_message);
            match run.time_out(interrupt, default, now) {
                Ok(done) => transitions.extend(done),
                Err(error) => tracing::error!(run = %run.id, %error, "an interrupt cannot end"),
            }
        }
        if transitions.is_empty() {
            return Ok(0);
        }
        tx.save(&transitions).await?;
        tx.commit().await?;
        effects::tell(&self.wake, &transitions);
        Ok(transitions.len())
    }
}
