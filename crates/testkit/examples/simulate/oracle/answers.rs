//! Questions and answers: each question has one answer, which is what the code sees.

use tenure_core::{
    Answer, Decision, Effect, Error, Interrupt, InterruptId, InterruptState, Key, Record, RunId,
    Timestamp,
};

use super::ledger::Ledger;
use super::{ANSWERED_ONCE, Broken, DB_TIME, Oracle, must};
use crate::code::answer_of;

impl Oracle {
    /// Somebody was told that this answer is the one.
    pub(crate) fn told_answered(&mut self, run: RunId, id: InterruptId, answer: &Answer) {
        let state = self.ledgers.get(&run).and_then(|ledger| ledger.questions.get(&id));
        let state = state.map(|question| &question.state);
        let is = matches!(state, Some(InterruptState::Answered { answer: first, .. }) if first == answer);
        let found = must(is, ANSWERED_ONCE, || {
            format!("{answer:?} was acknowledged; what is there is {state:?}")
        });
        self.conclude(run, found);
    }

    /// Somebody was told that this answer comes too late.
    pub(crate) fn told_too_late(&mut self, run: RunId, id: InterruptId, answer: &Answer) {
        let state = self.ledgers.get(&run).and_then(|ledger| ledger.questions.get(&id));
        let state = state.map(|question| &question.state);
        let late = match state {
            None | Some(InterruptState::Open) => false,
            Some(InterruptState::Answered { answer: first, .. }) => first != answer,
            Some(InterruptState::TimedOut { .. } | InterruptState::Closed { .. }) => true,
        };
        let found = must(late, ANSWERED_ONCE, || {
            format!("{answer:?} was refused as late; what is there is {state:?}")
        });
        self.conclude(run, found);
    }
}

impl Ledger {
    /// Notes what happens to questions.
    pub(super) fn note_question(&mut self, now: Timestamp, effect: &Effect) -> Result<(), Broken> {
        match effect {
            Effect::OpenInterrupt(asked) => {
                let first = self.questions.insert(asked.id, Interrupt::clone(asked));
                must(first.is_none(), ANSWERED_ONCE, || format!("`{}` was asked twice", asked.key))
            }
            Effect::EndInterrupt { id, state } => self.end_question(now, *id, state),
            Effect::CloseInterrupts { at } => {
                for question in self.questions.values_mut() {
                    if question.state == InterruptState::Open {
                        question.state = InterruptState::Closed { at: *at };
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn end_question(
        &mut self,
        now: Timestamp,
        id: InterruptId,
        state: &InterruptState,
    ) -> Result<(), Broken> {
        let question = self.questions.get_mut(&id);
        let question = question.ok_or_else(|| unknown(&Error::not_found(id.to_string())))?;
        must(question.state == InterruptState::Open, ANSWERED_ONCE, || {
            format!("`{}` was {:?} and became {state:?}", question.key, question.state)
        })?;
        if let InterruptState::TimedOut { .. } = state {
            must(question.due_at.is_some_and(|due_at| due_at <= now), DB_TIME, || {
                format!(
                    "`{}` was due at {:?} and timed out at {now}",
                    question.key, question.due_at
                )
            })?;
        }
        question.state = state.clone();
        Ok(())
    }

    /// Whether no question is left open that its row does not know of.
    pub(super) fn check_questions(&self) -> Result<(), Broken> {
        let open = |question: &&Interrupt| question.state == InterruptState::Open;
        let open = self.questions.values().filter(open).count();
        must(open == self.row.interrupts as usize, ANSWERED_ONCE, || {
            format!("{open} questions are open; its row says {}", self.row.interrupts)
        })?;
        must(open == 0 || !self.row.state.is_terminal(), ANSWERED_ONCE, || {
            format!("it has ended with {open} open questions")
        })
    }

    /// The end of a question that the code is going to see must be what became of it.
    pub(super) fn check_answer(&self, record: &Record) -> Result<(), Broken> {
        let Some(question) = self.question(&record.key) else { return Ok(()) };
        let seen = answer_of(&record.status).map(|(decision, _)| decision);
        let (expected, said): (Option<Decision>, _) = match &question.state {
            InterruptState::Answered { answer, .. } => {
                (Some(answer.decision), Some(answer.reason.as_str()))
            }
            InterruptState::TimedOut { .. } => (question.question.default, None),
            InterruptState::Open | InterruptState::Closed { .. } => {
                let what = format!("`{}` has no answer, and its code sees one", record.key);
                return Err(Broken(ANSWERED_ONCE, what));
            }
        };
        let heard = String::from_utf8_lossy(crate::message::value(&record.status)).into_owned();
        let same = seen == expected && said.is_none_or(|said| heard.contains(said));
        must(same, ANSWERED_ONCE, || {
            format!("the answer to `{}` is {:?}; its code sees {heard}", record.key, question.state)
        })
    }

    fn question(&self, key: &Key) -> Option<&Interrupt> {
        self.questions.get(&Interrupt::id_of(self.row.id, key))
    }
}

fn unknown(error: &Error) -> Broken {
    Broken(ANSWERED_ONCE, format!("nobody asked that: {error}"))
}
