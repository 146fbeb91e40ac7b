//! How long the runs of a worker that was killed or frozen waited for another one.

use std::collections::HashMap;
use std::time::Duration;

use crate::fault::{Party, What, place_of};
use crate::log::{Event, Holding, Line};

/// The waits of all leases that were lost so, shortest first: from the fault to the moment in which
/// the run's code goes on under the next lease.
pub(crate) fn waits(log: &[Line]) -> Vec<Duration> {
    let mut watch = Watch::default();
    for line in log {
        watch.see(line);
    }
    watch.waits.sort_unstable();
    watch.waits
}

#[derive(Default)]
struct Watch<'a> {
    /// By run, the process that has it.
    held: HashMap<&'a str, &'a str>,
    /// By run, who lost it and when.
    lost: HashMap<&'a str, (&'a str, u64)>,
    /// By number, kills that are under way: what counts is when the worker is dead.
    kills: HashMap<u64, usize>,
    waits: Vec<Duration>,
}

impl<'a> Watch<'a> {
    fn see(&mut self, line: &'a Line) {
        match &line.event {
            Event::Holds(holding) => self.hold(holding, line),
            Event::LetsGo(holding) => {
                self.drop_from(holding);
                // It was frozen, and nobody has taken the run from it.
                if self.lost.get(&*holding.run).is_some_and(|(by, _)| *by == holding.worker) {
                    self.lost.remove(&*holding.run);
                }
            }
            Event::Dropped(holding) => self.drop_from(holding),
            // It does not wait for another worker.
            Event::Rests(run, _) => {
                self.lost.remove(&**run);
            }
            Event::FaultBegins(number, fault) if fault.whom == Party::Worker => match fault.what {
                What::Killed => {
                    self.kills.insert(*number, fault.place);
                }
                _ => self.lose(fault.place, line),
            },
            Event::FaultEnds(number) => {
                if let Some(place) = self.kills.remove(number) {
                    self.lose(place, line);
                }
            }
            _ => {}
        }
    }

    fn hold(&mut self, holding: &'a Holding, line: &Line) {
        self.held.insert(&holding.run, &holding.worker);
        let Some((by, at)) = self.lost.remove(&*holding.run) else { return };
        if by != holding.worker {
            self.waits.push(line.since(at));
        }
    }

    fn drop_from(&mut self, holding: &'a Holding) {
        if self.held.get(&*holding.run).is_some_and(|by| *by == holding.worker) {
            self.held.remove(&*holding.run);
        }
    }

    /// Whoever is in this place loses all that it holds.
    fn lose(&mut self, place: usize, line: &Line) {
        let of_place = |(_, by): &(&&'a str, &&'a str)| place_of(by) == Some(place);
        let lost: Vec<_> = self.held.iter().filter(of_place).map(|(run, by)| (*run, *by)).collect();
        for (run, by) in lost {
            self.held.remove(run);
            self.lost.entry(run).or_insert((by, line.at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, worker_name};

    fn holding(place: usize) -> Holding {
        Holding { worker: worker_name(place, 1), run: "run".into() }
    }

    fn begins(what: What, place: usize) -> Event {
        let length = Duration::ZERO;
        Event::FaultBegins(0, Fault { what, whom: Party::Worker, place, length })
    }

    /// The waits of these events, a second apart, in seconds.
    fn seconds(events: &[Event]) -> Vec<u64> {
        let line = |(number, event): (usize, &Event)| Line {
            at: number as u64 * 1_000_000,
            event: event.clone(),
        };
        let log: Vec<Line> = events.iter().enumerate().map(line).collect();
        waits(&log).iter().map(Duration::as_secs).collect()
    }

    #[test]
    fn a_wait_begins_with_the_death_and_ends_with_the_next_holder() {
        let (one, two) = (Event::Holds(holding(0)), Event::Holds(holding(1)));
        let (begins, ends) = (begins(What::Killed, 0), Event::FaultEnds(0));
        let calm = Event::CalmEnds;
        let events = [one, begins.clone(), ends.clone(), calm, two.clone()];
        assert_eq!(seconds(&events), [2]);
        assert!(seconds(&[two, begins, ends]).is_empty(), "somebody else held it");
    }

    #[test]
    fn a_run_that_waits_is_not_lost() {
        let (holds, lets_go) = (Event::Holds(holding(0)), Event::LetsGo(holding(0)));
        let (begins, ends) = (begins(What::Killed, 0), Event::FaultEnds(0));
        assert!(seconds(&[holds, lets_go, begins, ends, Event::Holds(holding(1))]).is_empty());
    }

    #[test]
    fn a_run_that_rests_waits_for_nobody() {
        let (one, two) = (Event::Holds(holding(0)), Event::Holds(holding(1)));
        let (begins, ends) = (begins(What::Killed, 0), Event::FaultEnds(0));
        assert!(seconds(&[one, begins, ends, Event::Rests("run".into(), 1), two]).is_empty());
    }

    #[test]
    fn a_frozen_worker_loses_what_another_one_takes() {
        let (one, two) = (Event::Holds(holding(0)), Event::Holds(holding(1)));
        let (begins, ends) = (begins(What::Stopped, 0), Event::FaultEnds(0));
        let dropped = Event::Dropped(holding(0));
        let taken = [one.clone(), begins.clone(), ends.clone(), dropped, two.clone()];
        assert_eq!(seconds(&taken), [3]);
        let kept = [one, begins, ends, Event::LetsGo(holding(0)), two];
        assert!(seconds(&kept).is_empty());
    }
}
