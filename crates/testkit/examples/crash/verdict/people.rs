//! The checks of what people do: answers, pauses.

use std::collections::{BTreeSet, HashMap};

use tenure_sdk::v1;

use super::Check;
use crate::evidence::{Evidence, Found};
use crate::log::{Event, Line, Telling};
use crate::program::{self, Answer, Ask, Part, Place};
use crate::runs::{Outcome, Reply};

/// A question, and all that was said about it.
struct Asked<'a> {
    run: &'a v1::Run,
    key: String,
    ask: Ask,
    row: Option<&'a v1::Interrupt>,
    replies: Vec<&'a Reply>,
    /// What the journal has, and whether it is the default.
    result: Option<(Answer, bool)>,
    /// What the code was told, in each replay.
    told: Vec<(Answer, bool)>,
}

pub(super) fn answers(evidence: &Evidence) -> Check {
    let asked = asked(evidence);
    let problem = |asked: &Asked<'_>| {
        let problem = asked.problem()?;
        Some(format!("{}: {} {problem}", asked.run.id, asked.key))
    };
    let mut violations: Vec<String> = asked.iter().filter_map(problem).collect();
    if evidence.interrupts.len() != asked.len() {
        let (rows, questions) = (evidence.interrupts.len(), asked.len());
        violations.push(format!("{questions} questions were asked, {rows} are there"));
    }
    let count = |state| evidence.interrupts.iter().filter(|row| row.state() == state).count();
    let refused = |reply: &&Reply| reply.outcome != Outcome::Taken;
    Check::new(
        "every answer that was taken is the one that the run's code was told",
        format!(
            "{} answered, {} timed out, {} closed; {} answers refused",
            count(v1::InterruptState::Answered),
            count(v1::InterruptState::TimedOut),
            count(v1::InterruptState::Closed),
            evidence.ledger.replies.iter().filter(refused).count()
        ),
        violations,
    )
}

pub(super) fn closed(evidence: &Evidence) -> Check {
    let open = |row: &&v1::Interrupt| row.state() == v1::InterruptState::Open;
    let mut violations: Vec<String> = evidence
        .interrupts
        .iter()
        .filter(open)
        .map(|row| format!("{}: {} is open", row.run, row.key))
        .collect();
    let counted = evidence.listed.iter().filter(|run| run.open_interrupts != 0);
    violations.extend(counted.map(|run| format!("{} counts open questions", run.id)));
    Check::new("no question is left open", evidence.interrupts.len(), violations)
}

/// All questions that are in a journal.
fn asked(evidence: &Evidence) -> Vec<Asked<'_>> {
    let telling = |line: &'_ Line| match &line.event {
        Event::Told(telling) => Some(telling.clone()),
        _ => None,
    };
    let told: Vec<Telling> = evidence.log.iter().filter_map(telling).collect();
    let mut all = Vec::new();
    for found in &evidence.found {
        let (program, journal) = (found.program(), found.by_key());
        for Place { key, part } in program::places(&program.parts) {
            if let (Part::Ask(ask), Some(last)) = (part, journal.get(&*key)) {
                all.push(Asked::new(evidence, &told, &found.run, key, *ask, last));
            }
        }
    }
    all
}

impl<'a> Asked<'a> {
    fn new(
        evidence: &'a Evidence,
        told: &[Telling],
        run: &'a v1::Run,
        key: String,
        ask: Ask,
        last: &v1::Entry,
    ) -> Self {
        let row = evidence.interrupts.iter().find(|row| row.run == run.id && row.key == key);
        let replies = evidence.ledger.replies.iter();
        let told = told.iter().filter(|told| told.run == run.id && told.about == ask.about);
        Self {
            replies: replies.filter(|reply| reply.run == run.id && reply.key == key).collect(),
            told: told.map(|told| (told.answer, told.timed_out)).collect(),
            result: Found::result(last).and_then(Answer::recorded),
            row,
            run,
            key,
            ask,
        }
    }

    /// What is wrong with it.
    fn problem(&self) -> Option<String> {
        let Some(row) = self.row else { return Some("has no row".into()) };
        let expected = self.expected(row);
        let by_person = expected.filter(|(_, default)| !default).map(|(answer, _)| answer);
        let unexpected = |seen: &(Answer, bool)| Some(*seen) != expected;
        if self.result.iter().chain(&self.told).any(unexpected) {
            let (result, told) = (self.result, &self.told);
            return Some(format!("is {expected:?}, recorded {result:?}, and told {told:?}"));
        }
        self.contradiction(by_person).or_else(|| self.untimely(row))
    }

    /// What the run is told, by the question's row.
    fn expected(&self, row: &v1::Interrupt) -> Option<(Answer, bool)> {
        match row.state() {
            v1::InterruptState::Answered => Some((Answer::given(row.answer.as_ref()?)?, false)),
            v1::InterruptState::TimedOut => self.ask.deadline.map(|(_, default)| (default, true)),
            _ => None,
        }
    }

    /// What people were told that does not fit this answer.
    fn contradiction(&self, answer: Option<Answer>) -> Option<String> {
        let of = |outcome| -> BTreeSet<Answer> {
            let replies = self.replies.iter().filter(|reply| reply.outcome == outcome);
            replies.map(|reply| reply.answer).collect()
        };
        let [taken, conflict, late] = [Outcome::Taken, Outcome::Conflict, Outcome::Late].map(of);
        if taken != answer.into_iter().collect() {
            return Some(format!("has taken {taken:?}, and its row has {answer:?}"));
        }
        if !taken.is_disjoint(&conflict) || !taken.is_disjoint(&late) {
            return Some(format!("has taken {taken:?} and refused it"));
        }
        let in_vain = taken.is_empty() && !conflict.is_empty();
        in_vain.then(|| "has refused an answer for the sake of none".into())
    }

    /// Whether it ended before its time.
    fn untimely(&self, row: &v1::Interrupt) -> Option<String> {
        let [due, ended] =
            [&row.due_at, &row.ended_at].map(|at| at.map(|at| (at.seconds, at.nanos)));
        match row.state() {
            v1::InterruptState::TimedOut if ended < due => Some("timed out early".into()),
            v1::InterruptState::Closed if self.run.state() != v1::RunState::Cancelled => {
                Some("is closed although its run was not cancelled".into())
            }
            _ => None,
        }
    }
}

/// Nothing of a run begins from when it was seen to rest until the client resumes it.
pub(super) fn pauses(evidence: &Evidence) -> Check {
    let mut resting: HashMap<&str, u64> = HashMap::new();
    let (mut resumed, mut rested, mut violations) = (BTreeSet::new(), 0, Vec::new());
    for line in &evidence.log {
        match &line.event {
            Event::Rests(run, epoch) if !resumed.contains(run) => {
                resting.insert(run, *epoch);
                rested += 1;
            }
            // What comes later than the first resume may be an answer to an old request.
            Event::Resumes(run) => {
                resting.remove(&**run);
                resumed.insert(run);
            }
            Event::Started(by) if resting.get(&*by.run).is_some_and(|from| by.epoch >= *from) => {
                violations.push(format!("{by:?} of a run that rests"));
            }
            _ => {}
        }
    }
    let paused = evidence.ledger.paused;
    let figures = format!("{paused} paused, {rested} of them seen at rest");
    Check::new("nothing of a paused run began before it was resumed", figures, violations)
}
