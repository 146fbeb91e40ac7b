use std::time::Duration;

use super::*;
use crate::fault::worker_name;

fn by(place: usize, epoch: u64) -> Execution {
    let (worker, run, key) = (worker_name(place, 1), "run".into(), "key".into());
    Execution { worker, run, key, epoch, value: epoch * 10 }
}

fn fault(what: What, whom: Party, place: usize) -> Fault {
    Fault { what, whom, place, length: Duration::ZERO }
}

/// The findings of these events, a millisecond apart, if the result of this epoch is recorded.
fn find(epoch: u64, events: &[Event]) -> Findings {
    let step = ("run".into(), "key".into());
    let line =
        |(number, event): (usize, &Event)| Line { at: number as u64 * 1_000, event: event.clone() };
    let log: Vec<Line> = events.iter().enumerate().map(line).collect();
    Executions::new(&log).compare(&BTreeMap::from([(step, (epoch, Some(epoch * 10)))]))
}

fn killed(place: usize) -> [Event; 2] {
    [Event::FaultBegins(0, fault(What::Killed, Party::Worker, place)), Event::FaultEnds(0)]
}

#[test]
fn a_kill_before_the_result_was_recorded_explains_another_execution() {
    let (one, two) = (by(0, 1), by(1, 2));
    let [begins, ends] = killed(0);
    let (first, second) = (Event::Started(one), Event::Started(two.clone()));
    let events = [first, begins, ends, second, Event::Recorded(two)];
    let in_vain = BTreeMap::from([((Party::Worker, What::Killed), 1)]);
    let expected = Findings { total: 2, steps_repeated: 1, in_vain, ..Findings::default() };
    assert_eq!(find(2, &events), expected);
}

#[test]
fn a_kill_of_somebody_else_or_at_another_time_explains_nothing() {
    let (one, two) = (Event::Started(by(0, 1)), Event::Started(by(1, 2)));
    let ([begins, ends], [other_begins, other_ends]) = (killed(0), killed(2));
    for events in [
        [one.clone(), other_begins, other_ends, two.clone()],
        [begins.clone(), ends.clone(), one.clone(), two.clone()],
        [one.clone(), two.clone(), begins, ends],
    ] {
        assert_eq!(find(2, &events).unexplained.len(), 1, "{events:?}");
    }
}

#[test]
fn a_fault_of_everybody_explains_what_was_in_flight_during_it_and_right_after() {
    let (one, two) = (Event::Started(by(0, 1)), Event::Started(by(1, 2)));
    for whom in [Party::ControlPlane, Party::Postgres, Party::DatabaseLink] {
        let (begins, ends) =
            (Event::FaultBegins(3, fault(What::Cut, whom, 0)), Event::FaultEnds(3));
        let during = [one.clone(), begins.clone(), ends.clone(), two.clone()];
        assert_eq!(find(2, &during).in_vain[&(whom, What::Cut)], 1);
        let after = [begins, ends, one.clone(), two.clone()];
        assert_eq!(find(2, &after).in_vain[&(whom, What::Cut)], 1);
    }
}

#[test]
fn a_fault_explains_nothing_once_every_lease_that_it_cost_is_taken_over() {
    let (begins, ends) =
        (Event::FaultBegins(3, fault(What::Cut, Party::DatabaseLink, 0)), Event::FaultEnds(3));
    let mut events = vec![begins, ends];
    events.extend((0..=LEASE_TTL.as_millis()).map(|_| Event::CalmBegins));
    events.extend([Event::Started(by(0, 1)), Event::Started(by(1, 2))]);
    assert_eq!(find(2, &events).unexplained.len(), 1);
}

#[test]
fn trouble_on_a_link_explains_what_its_worker_did() {
    let (one, two) = (Event::Started(by(0, 1)), Event::Started(by(1, 2)));
    for (whom, place, explained) in
        [(Party::WorkerLink, 0, true), (Party::WorkerLink, 1, false), (Party::ClientLink, 0, false)]
    {
        let begins = Event::FaultBegins(0, fault(What::Silent, whom, place));
        let found = find(2, &[one.clone(), begins, two.clone(), Event::FaultEnds(0)]);
        assert_eq!(found.unexplained.is_empty(), explained, "{whom:?} {place}");
    }
}

#[test]
fn a_recorded_step_is_never_executed_again() {
    let (one, two) = (by(0, 1), by(1, 2));
    let [begins, ends] = killed(0);
    let events = [
        Event::Started(one.clone()),
        Event::Recorded(one.clone()),
        begins,
        ends,
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
    assert_eq!(find(2, &[Event::Started(by(0, 1))]).unproduced.len(), 1);
    assert_eq!(find(1, &[Event::Started(by(0, 1))]).untold, 1);
}

#[test]
fn what_a_frozen_worker_brings_when_another_is_at_work_is_late() {
    let (one, two) = (by(0, 1), by(1, 2));
    let begins = Event::FaultBegins(0, fault(What::Stopped, Party::Worker, 0));
    let (first, second) = (Event::Started(one.clone()), Event::Started(two));
    let found = find(2, &[first, begins, second, Event::FaultEnds(0), Event::Ended(one)]);
    assert_eq!((found.late, found.unexplained.len()), (1, 0));
}
