//! The oracle of executions: why a step was executed more than once.
//!
//! A step may be executed again only if the result of the execution before was not recorded because
//! its worker, or the control plane, was killed meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::log::{Event, Execution};

/// Run and key of a step.
type Step = (String, String);

/// What the log says, step by step. Places are line numbers.
#[derive(Default)]
pub(crate) struct Executions {
    steps: BTreeMap<Step, Vec<Executed>>,
    deaths: HashMap<String, usize>,
    outages: Vec<Range<usize>>,
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
    /// Executions that were in vain because their worker was killed.
    pub(crate) by_worker: usize,
    /// Executions that were in vain because the control plane was killed.
    pub(crate) by_control_plane: usize,
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
    pub(crate) fn new(events: &[Event]) -> Self {
        let mut this = Self::default();
        let mut outage = None;
        for (place, event) in events.iter().enumerate() {
            match event {
                Event::Started(execution) => {
                    let execution = execution.clone();
                    let executed = Executed { place, execution, acknowledged: false };
                    this.of(&executed.execution).push(executed);
                }
                Event::Ended(_) => {}
                Event::Recorded(execution) => this.acknowledge(execution),
                Event::WorkerKilled(worker) => {
                    this.deaths.insert(worker.clone(), place);
                }
                Event::OutageBegins => outage = Some(place),
                Event::OutageEnds => {
                    this.outages.extend(outage.take().map(|begin| begin..place));
                }
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
        let mut findings = Findings::default();
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
            } else if self.killed_between(vain, next) {
                findings.by_worker += 1;
            } else if self.outage_between(vain, next) {
                findings.by_control_plane += 1;
            } else {
                findings.unexplained.push(format!(
                    "{:?}, and then {:?}, without a kill in between",
                    vain.execution, next.execution
                ));
            }
        }
    }

    /// Whether the worker of `vain` was killed before the next execution began.
    fn killed_between(&self, vain: &Executed, next: &Executed) -> bool {
        let death = self.deaths.get(&vain.execution.worker);
        death.is_some_and(|death| (vain.place..next.place).contains(death))
    }

    /// Whether the control plane was away at some time from the one execution to the next. They
    /// may be in the other order: a worker that the control plane has given up may start one more.
    fn outage_between(&self, vain: &Executed, next: &Executed) -> bool {
        let (begin, end) = (vain.place.min(next.place), vain.place.max(next.place));
        self.outages.iter().any(|outage| outage.start < end && begin < outage.end)
    }
}

/// The executions that were told that their result is recorded.
fn told<'a>(
    executions: impl IntoIterator<Item = &'a Executed>,
) -> impl Iterator<Item = &'a Execution> {
    let told = executions.into_iter().filter(|executed| executed.acknowledged);
    told.map(|executed| &executed.execution)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(worker: &str, epoch: u64) -> Execution {
        let (worker, run, key) = (worker.into(), "run".into(), "key".into());
        Execution { worker, run, key, epoch, value: epoch * 10 }
    }

    /// The findings of these events if the result of this epoch is recorded.
    fn find(epoch: u64, events: &[Event]) -> Findings {
        let step = ("run".into(), "key".into());
        Executions::new(events).compare(&BTreeMap::from([(step, (epoch, Some(epoch * 10)))]))
    }

    fn killed(worker: &str) -> Event {
        Event::WorkerKilled(worker.into())
    }

    #[test]
    fn a_kill_before_the_result_was_recorded_explains_another_execution() {
        let (one, two) = (by("a", 1), by("b", 2));
        let events =
            [Event::Started(one), killed("a"), Event::Started(two.clone()), Event::Recorded(two)];
        let expected =
            Findings { total: 2, steps_repeated: 1, by_worker: 1, ..Findings::default() };
        assert_eq!(find(2, &events), expected);
    }

    #[test]
    fn a_kill_of_somebody_else_or_at_another_time_explains_nothing() {
        let (one, two) = (Event::Started(by("a", 1)), Event::Started(by("b", 2)));
        for events in [
            [one.clone(), killed("c"), two.clone()],
            [killed("a"), one.clone(), two.clone()],
            [one.clone(), two.clone(), killed("a")],
        ] {
            assert_eq!(find(2, &events).unexplained.len(), 1, "{events:?}");
        }
    }

    #[test]
    fn an_outage_explains_what_was_in_flight_during_it() {
        let (one, two) = (Event::Started(by("a", 1)), Event::Started(by("b", 2)));
        let (begins, ends) = (Event::OutageBegins, Event::OutageEnds);
        let during = [one.clone(), begins.clone(), ends.clone(), two.clone()];
        assert_eq!(find(2, &during).by_control_plane, 1);
        let late = [begins, ends, one, two];
        assert_eq!(find(2, &late).unexplained.len(), 1);
    }

    #[test]
    fn a_recorded_step_is_never_executed_again() {
        let (one, two) = (by("a", 1), by("b", 2));
        let events = [
            Event::Started(one.clone()),
            Event::Recorded(one.clone()),
            killed("a"),
            Event::Started(two),
        ];
        assert_eq!(find(1, &events).unexplained.len(), 1);
        // If the other one is in the journal, the first was lost after it was acknowledged.
        assert_eq!(find(2, &events).lost.len(), 1);
        let twice = [Event::Started(one.clone()), Event::Started(one)];
        assert_eq!(find(1, &twice).unexplained.len(), 1);
    }

    #[test]
    fn a_recorded_result_comes_from_somewhere() {
        assert_eq!(find(1, &[]).unproduced.len(), 1);
        assert_eq!(find(2, &[Event::Started(by("a", 1))]).unproduced.len(), 1);
        assert_eq!(find(1, &[Event::Started(by("a", 1))]).untold, 1);
    }
}
