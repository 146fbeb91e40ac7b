//! The oracle of executions: why a step was executed more than once.
//!
//! A step may be executed again only if the result of the execution before was not recorded because
//! of a fault that was on meanwhile, and that may cost its worker a lease.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use crate::fault::{Fault, Party, What};
use crate::log::{Event, Execution, Line};
use crate::processes::LEASE_TTL;

/// Run and key of a step.
pub(crate) type Step = (String, String);

/// What the log says, step by step. Places are line numbers.
#[derive(Default)]
pub(crate) struct Executions {
    steps: BTreeMap<Step, Vec<Executed>>,
    late: usize,
    /// The faults, each from its begin to when a lease that it has cost is taken over.
    faults: Vec<(Fault, RangeInclusive<usize>)>,
}

/// One execution, and what became of it.
struct Executed {
    place: usize,
    execution: Execution,
    /// The control plane has said that the result is recorded.
    acknowledged: bool,
}

/// What the executions of all steps come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Executions altogether.
    pub(crate) total: usize,
    /// Steps that were executed more than once.
    pub(crate) steps_repeated: usize,
    /// Executions that were in vain, by what was done to whom.
    pub(crate) in_vain: BTreeMap<(Party, What), usize>,
    /// Results that came when another lease of the run was at work already.
    pub(crate) late: usize,
    /// Results that were recorded although nobody lived to be told.
    pub(crate) untold: usize,
    /// Recorded results that no execution produced.
    pub(crate) unproduced: Vec<String>,
    /// Results that were said to be recorded and are not.
    pub(crate) lost: Vec<String>,
    /// Executions that must not have been.
    pub(crate) unexplained: Vec<String>,
}

impl Executions {
    /// Reads the log.
    pub(crate) fn new(log: &[Line]) -> Self {
        let mut this = Self { faults: faults(log), ..Self::default() };
        let mut epochs: HashMap<&str, u64> = HashMap::new();
        for (place, line) in log.iter().enumerate() {
            match &line.event {
                Event::Started(execution) => {
                    let epoch = epochs.entry(&execution.run).or_default();
                    *epoch = execution.epoch.max(*epoch);
                    let execution = execution.clone();
                    let executed = Executed { place, execution, acknowledged: false };
                    this.of(&executed.execution).push(executed);
                }
                Event::Ended(execution) => {
                    let epoch = epochs.get(&*execution.run);
                    this.late += usize::from(epoch.is_some_and(|epoch| *epoch > execution.epoch));
                }
                Event::Recorded(execution) => this.acknowledge(execution),
                _ => {}
            }
        }
        this
    }

    fn of(&mut self, execution: &Execution) -> &mut Vec<Executed> {
        self.steps.entry((execution.run.clone(), execution.key.clone())).or_default()
    }

    fn acknowledge(&mut self, execution: &Execution) {
        for executed in self.of(execution) {
            executed.acknowledged |= executed.execution == *execution;
        }
    }

    /// Compares the executions with what is recorded: epoch and result of each step.
    pub(crate) fn compare(mut self, recorded: &BTreeMap<Step, (u64, Option<u64>)>) -> Findings {
        let mut findings = Findings { late: self.late, ..Findings::default() };
        for (step, executions) in &mut self.steps {
            executions.sort_by_key(|executed| (executed.execution.epoch, executed.place));
            findings.total += executions.len();
            findings.steps_repeated += usize::from(executions.len() > 1);
            if !recorded.contains_key(step) {
                findings.lost.extend(told(executions.iter()).map(|lost| format!("{lost:?}")));
            }
        }
        for (step, (epoch, value)) in recorded {
            let executions = self.steps.get(step).map_or(&[][..], Vec::as_slice);
            self.check(step, *epoch, *value, executions, &mut findings);
        }
        findings
    }

    fn check(
        &self,
        step: &Step,
        epoch: u64,
        value: Option<u64>,
        executions: &[Executed],
        findings: &mut Findings,
    ) {
        let is_it = |executed: &&Executed| {
            executed.execution.epoch == epoch && Some(executed.execution.value) == value
        };
        let Some(it) = executions.iter().find(is_it) else {
            findings.unproduced.push(format!("{step:?}: {value:?} of epoch {epoch}"));
            return;
        };
        findings.untold += usize::from(!it.acknowledged);
        let others = executions.iter().filter(|executed| !is_it(executed));
        findings.lost.extend(told(others).map(|lost| format!("{lost:?}")));
        for (vain, next) in executions.iter().zip(&executions[1..]) {
            // In the epoch of the recorded one or after it there must not be another.
            let before = vain.execution.epoch < next.execution.epoch;
            if !before || next.execution.epoch > epoch {
                findings
                    .unexplained
                    .push(format!("{:?} although epoch {epoch} has recorded it", next.execution));
            } else if let Some(fault) = self.between(vain, next) {
                *findings.in_vain.entry((fault.whom, fault.what)).or_default() += 1;
            } else {
                findings.unexplained.push(format!(
                    "{:?}, and then {:?}, without a fault in between",
                    vain.execution, next.execution
                ));
            }
        }
    }

    /// The fault that was on at some time from the one execution to the next, and hit the worker of
    /// the first. They may be in the other order: a worker that was given up may start one more.
    fn between(&self, vain: &Executed, next: &Executed) -> Option<&Fault> {
        let (begin, end) = (vain.place.min(next.place), vain.place.max(next.place));
        let was_on = |on: &RangeInclusive<usize>| *on.start() <= end && begin <= *on.end();
        let hit = |(fault, on): &&(Fault, _)| was_on(on) && fault.hits(&vain.execution.worker);
        // What happened to the worker itself says more than what happened to everybody.
        let own = |fault: &&(Fault, _)| fault.0.whom == Party::Worker;
        let mut all = self.faults.iter().filter(hit);
        all.clone().find(own).or_else(|| all.next()).map(|(fault, _)| fault)
    }
}

/// The faults of the log and the lines from their begin to their end, with the time after it in
/// which a lease that was not kept alive meanwhile is given to somebody else.
fn faults(log: &[Line]) -> Vec<(Fault, RangeInclusive<usize>)> {
    let mut faults = Vec::new();
    for (begin, line) in log.iter().enumerate() {
        let Event::FaultBegins(number, fault) = line.event else { continue };
        let rest = || log.iter().enumerate().skip(begin);
        let ended = rest().find(|(_, line)| line.event == Event::FaultEnds(number));
        // What a dead worker has begun was begun before it died.
        let dead = (fault.what, fault.whom) == (What::Killed, Party::Worker);
        let end = ended.map_or(log.len(), |(end, ended)| {
            let after = |(_, line): &(_, &Line)| line.since(ended.at) > LEASE_TTL;
            if dead { end } else { rest().find(after).map_or(log.len(), |(after, _)| after) }
        });
        faults.push((fault, begin..=end));
    }
    faults
}

/// The executions that were told that their result is recorded.
fn told<'a>(
    executions: impl IntoIterator<Item = &'a Executed>,
) -> impl Iterator<Item = &'a Execution> {
    let told = executions.into_iter().filter(|executed| executed.acknowledged);
    told.map(|executed| &executed.execution)
}

#[cfg(test)]
mod tests;
