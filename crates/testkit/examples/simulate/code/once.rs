//! Steps that must not happen twice: on record before they begin, and in doubt when they are found
//! begun and without a result. Then the step's own way to find out is asked, or else a person.

use std::time::Duration;

use serde_json::Value;
use tenure_core::{
    Decision, EntryKind, EntryStatus, Error, Failure, Key, Opening, Payload, Question, Record,
    Result, Scope,
};
use tenure_replay::{Answer, Command, Wait};

use super::fiber::At;
use super::{Code, FiberId, Want, Work, finished, input, unexpected};
use crate::script::Part;

/// What was found out about a step in doubt.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// It has happened, and this was its result.
    Happened(EntryStatus),
    DidNot,
    /// Nobody can tell: ask a person.
    Unknown,
}

/// The code of the failure of a step that may have happened and is not to be done again.
pub(crate) const IN_DOUBT: &str = "in_doubt";
/// How long it takes to find out.
const FINDING_OUT: Duration = Duration::from_secs(2);

impl Code {
    pub(super) fn once(
        &mut self,
        id: FiberId,
        scope: &Scope,
        name: &str,
        takes: Duration,
    ) -> Result<Option<Want>> {
        let input = Some(input(scope, name, takes));
        let command = Command { scope, name, kind: EntryKind::Tool, input };
        match self.engine.step_once(&command)? {
            Answer::Recorded(status) => {
                self.fibers[id].see(&status);
                Ok(None)
            }
            Answer::Execute(key) => Ok(Some(self.wants_start(id, key))),
            Answer::InDoubt(key) => self.doubt(id, key),
            answer => Err(unexpected(answer)),
        }
    }

    /// How long the step takes that a fiber is at, and whether it can find out.
    fn step_of(&self, id: FiberId) -> (Duration, bool) {
        match self.fibers[id].part() {
            Some(Part::Once { takes, finds_out, .. }) => (*takes, *finds_out),
            _ => (Duration::ZERO, false),
        }
    }

    fn wants_start(&mut self, id: FiberId, key: Key) -> Want {
        self.fibers[id].at = At::Executing(key.clone());
        Want::Do { fiber: id, key, takes: self.step_of(id).0, work: Work::Start }
    }

    /// The record that says that the step starts.
    pub(crate) fn starts(&mut self, id: FiberId, key: &Key) -> Result<Record> {
        self.fibers[id].at = At::Starting(key.clone());
        self.engine.start(key)
    }

    /// The step is to be executed.
    pub(super) fn begins(&mut self, id: FiberId, key: Key, started: bool) -> Want {
        self.fibers[id].at = At::Executing(key.clone());
        Want::Do { fiber: id, key, takes: self.step_of(id).0, work: Work::Once { started } }
    }

    fn doubt(&mut self, id: FiberId, step: Key) -> Result<Option<Want>> {
        match self.engine.doubt(&step)? {
            Wait::Begin(doubt) if self.step_of(id).1 => {
                self.fibers[id].at = At::FindingOut { step: step.clone(), doubt };
                let (takes, work) = (FINDING_OUT, Work::FindOut);
                Ok(Some(Want::Do { fiber: id, key: step, takes, work }))
            }
            Wait::Begin(doubt) => self.ask_about(id, step, doubt).map(Some),
            Wait::Suspend(doubt, _) => {
                self.fibers[id].at = At::Doubting { step, doubt };
                Ok(None)
            }
            Wait::Arrived(record) => {
                self.fibers[id].at = At::Settling { step, status: record.status.clone() };
                Ok(Some(Want::Record { fiber: id, record }))
            }
            Wait::Recorded(status) => self.settle(id, &step, &status),
            Wait::Mismatch(mismatch) => Err(Error::wrong_state(mismatch.to_string())),
            Wait::Elsewhere(seq) => Err(Error::internal(format!("entry {seq} was not kept"))),
        }
    }

    fn ask_about(&mut self, id: FiberId, step: Key, doubt: Key) -> Result<Want> {
        let question = Question {
            title: "doubt".to_owned(),
            decisions: vec![Decision::Approve, Decision::Respond, Decision::Reject],
            ..Question::default()
        };
        let record = self.engine.begin(&doubt, Opening::Interrupt(Box::new(question)))?;
        self.fibers[id].at = At::Asking { step, doubt };
        Ok(Want::Record { fiber: id, record })
    }

    /// The question is on record.
    pub(super) fn asked(&mut self, id: FiberId, step: Key, doubt: Key) -> Option<Want> {
        self.fibers[id].at = At::Doubting { step, doubt };
        self.look(id)
    }

    /// What was found out about the step that this fiber is at.
    pub(crate) fn found(&mut self, id: FiberId, found: Found) -> Result<Option<Want>> {
        let At::FindingOut { step, doubt } = self.fibers[id].at.clone() else { return Ok(None) };
        if let Found::Unknown = found {
            return self.ask_about(id, step, doubt).map(Some);
        }
        self.engine.abandon(&doubt);
        match found {
            Found::Happened(status) => self.close(id, &step, status).map(Some),
            Found::DidNot | Found::Unknown => {
                self.engine.go_on(&step);
                Ok(Some(self.begins(id, step, false)))
            }
        }
    }

    /// Somebody has decided, and that is on record.
    pub(super) fn settle(
        &mut self,
        id: FiberId,
        step: &Key,
        status: &EntryStatus,
    ) -> Result<Option<Want>> {
        let (decision, value) = answer_of(status)
            .ok_or_else(|| Error::internal(format!("no answer about `{step}`: {status:?}")))?;
        match decision {
            Decision::Approve | Decision::Edit => Ok(Some(self.wants_start(id, step.clone()))),
            Decision::Respond => {
                let status = EntryStatus::Succeeded(Payload::json(value.to_string()));
                self.close(id, step, status).map(Some)
            }
            Decision::Reject => {
                let failure = Failure::permanent(IN_DOUBT, "somebody decided not to do it again");
                self.close(id, step, EntryStatus::Failed(failure)).map(Some)
            }
        }
    }

    /// Records what is known now.
    fn close(&mut self, id: FiberId, step: &Key, status: EntryStatus) -> Result<Want> {
        self.fibers[id].at = At::Ending(status.clone());
        let record = self.engine.finish(step, finished(status))?;
        Ok(Want::Record { fiber: id, record })
    }
}

/// What an answer decides, and its value.
pub(crate) fn answer_of(status: &EntryStatus) -> Option<(Decision, Value)> {
    let EntryStatus::Succeeded(payload) = status else { return None };
    let answer: Value = serde_json::from_slice(&payload.data).ok()?;
    let decision = Decision::parse(answer.get("decision")?.as_str()?)?;
    Some((decision, answer.get("value").cloned().unwrap_or_default()))
}
