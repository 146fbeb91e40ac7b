//! The oracle of steps that must not happen twice.
//!
//! What such a step does to the world is one line in a log of the world. A worker that finds a step
//! in doubt writes so, and from that line on no execution of an earlier epoch has an effect: so the
//! order of the lines says what has happened, whatever a worker that was frozen still does.

use std::collections::BTreeMap;

use crate::executions::Step;
use crate::log::{Event, Execution, Line};

/// What all of them come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Onces {
    /// Steps that were begun.
    pub(crate) steps: usize,
    /// How often one was in doubt.
    pub(crate) doubts: usize,
    /// Executions after somebody found out that the one before has not happened.
    pub(crate) again: usize,
    /// What must not have been.
    pub(crate) violations: Vec<String>,
}

/// The effects that a step has had: executions that had ended before anybody doubted them.
pub(crate) fn effects<'a>(
    world: impl IntoIterator<Item = &'a Line>,
    run: &str,
    key: &str,
) -> Vec<&'a Execution> {
    let (mut effects, mut doubted) = (Vec::new(), 0);
    for line in world {
        match &line.event {
            Event::Doubted(by) if by.is_of(run, key) => doubted = by.epoch.max(doubted),
            Event::Ended(by) if by.is_of(run, key) && by.epoch >= doubted => effects.push(by),
            _ => {}
        }
    }
    effects
}

/// Compares what happened in the world with what is recorded and what workers were told.
pub(crate) fn judge(
    world: &[Line],
    log: &[Line],
    recorded: &BTreeMap<Step, (u64, Option<u64>)>,
) -> Onces {
    let mut steps: BTreeMap<Step, Vec<&Line>> = BTreeMap::new();
    for line in world {
        if let Event::Started(by) | Event::Ended(by) | Event::Doubted(by) = &line.event {
            steps.entry((by.run.clone(), by.key.clone())).or_default().push(line);
        }
    }
    let mut onces = Onces { steps: steps.len(), ..Onces::default() };
    for (step, lines) in &steps {
        onces.count(lines);
        let effects = effects(lines.iter().copied(), &step.0, &step.1);
        let result = recorded.get(step).map(|(_, result)| *result);
        let happened = effects.first().map(|effect| effect.value);
        if effects.len() > 1 || result.is_some_and(|result| result != happened) {
            onces.violations.push(format!("{step:?} gave {result:?} and did {effects:?}"));
        }
    }
    for step in recorded.keys().filter(|step| !steps.contains_key(*step)) {
        onces.violations.push(format!("{step:?} has a result and was never begun"));
    }
    onces.compare(log, recorded);
    onces
}

impl Onces {
    /// Each execution but the first was decided on.
    fn count(&mut self, lines: &[&Line]) {
        let doubt = |line: &&Line| match &line.event {
            Event::Doubted(by) => Some(by.epoch),
            _ => None,
        };
        self.doubts += lines.iter().filter_map(doubt).count();
        let started = |(place, line): (usize, &&Line)| match &line.event {
            Event::Started(by) => Some((by.epoch, place)),
            _ => None,
        };
        let mut started: Vec<_> = lines.iter().enumerate().filter_map(started).collect();
        started.sort_unstable();
        for pair in started.windows(2) {
            let [(before, _), (epoch, place)] = *pair else { continue };
            let asked = lines[..place].iter().any(|line| doubt(line) == Some(epoch));
            if asked && before < epoch {
                self.again += 1;
            } else {
                let event = &lines[place].event;
                self.violations.push(format!("{event:?} although nobody has decided so"));
            }
        }
    }

    /// What a worker was told is recorded is in the journal, unchanged.
    fn compare(&mut self, log: &[Line], recorded: &BTreeMap<Step, (u64, Option<u64>)>) {
        for line in log {
            let Event::Recorded(told) = &line.event else { continue };
            if !crate::program::is_once(&told.key) {
                continue;
            }
            let there = recorded.get(&(told.run.clone(), told.key.clone()));
            if there != Some(&(told.epoch, Some(told.value))) {
                self.violations.push(format!("{told:?} was told, recorded is {there:?}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(epoch: u64) -> Execution {
        let (worker, run, key) = ("worker".into(), "run".into(), "once-1".into());
        Execution { worker, run, key, epoch, value: epoch * 10 }
    }

    fn lines(events: &[Event]) -> Vec<Line> {
        events.iter().map(|event| Line { at: 0, event: event.clone() }).collect()
    }

    /// How many violations there are if this value is recorded under this epoch.
    fn violations(recorded: Option<(u64, u64)>, events: &[Event], told: &[Event]) -> usize {
        let step = ("run".to_owned(), "once-1".to_owned());
        let recorded = recorded.map(|(epoch, value)| (step, (epoch, Some(value))));
        judge(&lines(events), &lines(told), &recorded.into_iter().collect()).violations.len()
    }

    #[test]
    fn what_happened_is_found_out_and_not_done_again() {
        let events = [Event::Started(by(1)), Event::Ended(by(1)), Event::Doubted(by(3))];
        assert_eq!(violations(Some((3, 10)), &events, &[]), 0);
        assert_eq!(violations(Some((3, 30)), &events, &[]), 1);
        let again = [&events[..], &[Event::Started(by(3)), Event::Ended(by(3))]].concat();
        assert_eq!(violations(Some((3, 30)), &again, &[]), 1, "it happened twice");
    }

    #[test]
    fn what_has_not_happened_is_done_again_only_if_somebody_said_so() {
        let (first, again) = (Event::Started(by(1)), Event::Started(by(3)));
        let (doubt, done) = (Event::Doubted(by(3)), Event::Ended(by(3)));
        let decided = [first.clone(), doubt, again.clone(), done.clone()];
        assert_eq!(violations(Some((3, 30)), &decided, &[]), 0);
        let undecided = [first.clone(), again.clone(), done.clone()];
        assert_eq!(violations(Some((3, 30)), &undecided, &[]), 1);
        let by_another = [first, Event::Doubted(by(2)), again.clone(), done.clone()];
        assert_eq!(violations(Some((3, 30)), &by_another, &[]), 1);
        assert_eq!(violations(Some((3, 30)), &[again.clone(), again, done], &[]), 1);
    }

    #[test]
    fn what_somebody_does_who_was_given_up_has_no_effect() {
        let events = [
            Event::Started(by(1)),
            Event::Doubted(by(3)),
            Event::Started(by(3)),
            Event::Ended(by(1)),
            Event::Ended(by(3)),
        ];
        assert_eq!(violations(Some((3, 30)), &events, &[]), 0);
        assert_eq!(violations(Some((3, 10)), &events, &[]), 1);
    }

    #[test]
    fn a_result_comes_from_somewhere_and_stays() {
        assert_eq!(violations(Some((1, 10)), &[], &[]), 1);
        let events = [Event::Started(by(1)), Event::Ended(by(1))];
        assert_eq!(violations(Some((1, 10)), &events, &[Event::Recorded(by(1))]), 0);
        assert_eq!(violations(None, &events, &[Event::Recorded(by(1))]), 1);
        assert_eq!(violations(Some((1, 10)), &events[..1], &[]), 1);
    }
}
