//! Interrupts.

use tenure_core::interrupt::{Answer, InterruptState};
use tenure_core::{AgentId, Decision, Interrupt, InterruptId, Question};

use super::{Columns, Reader};
use crate::{Result, documents};

impl<R: Columns> Reader<'_, R> {
    pub(crate) fn interrupt(&self) -> Result<Interrupt> {
        let (tenant, run) = self.run_ref()?;
        Ok(Interrupt {
            id: InterruptId::new(self.id("interrupt_id")?),
            tenant,
            run,
            agent: AgentId::new(self.id("agent_id")?),
            key: self.journal_key("key")?,
            question: self.question()?,
            opened_at: self.time("opened_at")?,
            due_at: self.time_if("due_at")?,
            state: self.interrupt_state()?,
        })
    }

    /// The interrupt, for a sweep over those of all tenants: see
    /// [`run_if_readable`](Self::run_if_readable).
    pub(crate) fn interrupt_if_readable(&self) -> Option<Interrupt> {
        self.interrupt()
            .inspect_err(|error| tracing::error!(%error, "passing over an interrupt"))
            .ok()
    }

    fn question(&self) -> Result<Question> {
        let (kind, decisions) = (self.text("kind")?, self.json::<Vec<String>>("decisions")?);
        let timeout = self.int_if("timeout_micros")?.map(documents::duration).transpose();
        Ok(Question {
            kind: self.good("kind", documents::question_kind(&kind))?,
            title: self.text("title")?,
            payload: self.own_payload()?,
            schema: self.text("schema")?,
            decisions: self.good("decisions", documents::decisions(&decisions))?,
            assignee: self.text("assignee")?,
            timeout: self.good("timeout_micros", timeout)?,
            default: self.decision_if("default_decision")?,
        })
    }

    fn interrupt_state(&self) -> Result<InterruptState> {
        let word = self.text("state")?;
        Ok(match &*word {
            "open" => InterruptState::Open,
            "answered" => {
                InterruptState::Answered { answer: self.answer()?, at: self.time("ended_at")? }
            }
            "timed_out" => InterruptState::TimedOut { at: self.time("ended_at")? },
            "closed" => InterruptState::Closed { at: self.time("ended_at")? },
            _ => return Err(self.unknown("state", &word, "state")),
        })
    }

    fn answer(&self) -> Result<Answer> {
        let word = self.text("answer_decision")?;
        Ok(Answer {
            decision: self.good("answer_decision", documents::decision(&word))?,
            value: self.payload(["answer_type", "answer_encoding", "answer"])?,
            reason: self.text("answer_reason")?,
            actor: self.text("answer_actor")?,
        })
    }

    fn decision_if(&self, column: &'static str) -> Result<Option<Decision>> {
        let word = self.text_if(column)?;
        word.map(|word| self.good(column, documents::decision(&word))).transpose()
    }
}
