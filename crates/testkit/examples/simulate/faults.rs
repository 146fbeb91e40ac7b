//! What is broken on purpose: processes die, freeze and are told to stop, parties are cut off from
//! each other, the database goes away, its clock is set.

use std::time::Duration;

use crate::message::Node;
use crate::plan::Weather;
use crate::world::{Event, World};

/// One fault, or its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The next one is due.
    Next,
    /// A process dies, and is started again some time later.
    Crash(Node),
    Start(Node),
    /// A process is told to stop, and ends when it has done what it has to.
    Stop(Node),
    /// Nobody is cut off from this one any more.
    Heal(Node),
    /// From now on nothing goes wrong any more.
    Fair,
}

impl World {
    /// Chooses a fault. What the simulation has to do itself is the answer.
    pub(crate) fn next_fault(&mut self) -> Option<Fault> {
        let every = self.plan.weather.fault_every?;
        let next = self.dice.jittered(every * 4 / 3);
        self.enter(next, Event::Fault(Fault::Next));
        match self.dice.number(0, 99) {
            0..25 => Some(Fault::Crash(self.some_worker())),
            25..40 => Some(Fault::Crash(self.some_replica())),
            40..47 => Some(Fault::Stop(self.some_worker())),
            47..50 => Some(Fault::Stop(self.some_replica())),
            50..65 => self.freeze_worker(),
            65..70 => self.freeze_replica(),
            70..90 => self.cut_off(),
            90..94 => self.set_clock(),
            _ => self.outage(),
        }
    }

    fn some_worker(&mut self) -> Node {
        Node::Worker(self.some(self.plan.workers))
    }

    fn some_replica(&mut self) -> Node {
        Node::ControlPlane(self.some(self.plan.control_planes))
    }

    fn freeze_worker(&mut self) -> Option<Fault> {
        let node = self.some_worker();
        let longest = if self.dice.chance(500) { 3_000 } else { 25_000 };
        let time = self.dice.millis(100, longest);
        self.freeze(node, time);
        self.figures.freezes += 1;
        None
    }

    fn freeze_replica(&mut self) -> Option<Fault> {
        let node = self.some_replica();
        let longest = if self.dice.chance(800) { 8_000 } else { 20_000 };
        let time = self.dice.millis(100, longest);
        self.freeze(node, time);
        self.figures.freezes += 1;
        None
    }

    fn freeze(&mut self, node: Node, time: Duration) {
        let until = self.now + time;
        if let Some(process) = self.processes.get_mut(&node) {
            process.frozen_until = process.frozen_until.max(until);
        }
        self.note(None, format_args!("{node} is frozen for {time:?}"));
    }

    /// Cuts somebody off from a replica, or from all of them, in one direction or in both.
    fn cut_off(&mut self) -> Option<Fault> {
        let node = match self.dice.number(0, 5) {
            0 => Node::Database,
            1 => self.some_replica(),
            _ => self.some_worker(),
        };
        let replicas = match self.some_replica() {
            Node::ControlPlane(_) if self.dice.chance(500) => 0..self.plan.control_planes,
            Node::ControlPlane(place) => place..place + 1,
            _ => 0..0,
        };
        let (from, to) = [(true, true), (true, false), (false, true)][self.dice.place(3)];
        let time = self.dice.millis(100, 30_000);
        self.note(None, format_args!("{node} is cut off from {replicas:?} ({from}, {to})"));
        for replica in replicas.map(Node::ControlPlane) {
            self.cut.extend(from.then_some((node, replica)));
            self.cut.extend(to.then_some((replica, node)));
        }
        self.enter(time, Event::Fault(Fault::Heal(node)));
        self.figures.partitions += 1;
        None
    }

    /// Forward by up to a minute, backward by a little.
    fn set_clock(&mut self) -> Option<Fault> {
        let by = if self.dice.chance(700) {
            self.dice.millis(10, 60_000).as_micros()
        } else {
            self.dice.millis(1, 2_000).as_micros()
        };
        let by = i64::try_from(by).unwrap_or(0);
        let by = if by < 2_000_000 && self.dice.chance(500) { -by } else { by };
        self.store.set_clock(by);
        self.oracle.clock_set(by);
        self.note(None, format_args!("the database's clock is set by {by} µs"));
        self.figures.clock_jumps += 1;
        None
    }

    fn outage(&mut self) -> Option<Fault> {
        let time = self.dice.millis(100, 8_000);
        self.freeze(Node::Database, time);
        self.figures.outages += 1;
        None
    }

    pub(crate) fn heal(&mut self, node: Node) {
        self.cut.retain(|(from, to)| *from != node && *to != node);
    }

    /// From now on nothing goes wrong any more. Who is frozen or down comes back in its time.
    pub(crate) fn clear_up(&mut self) {
        self.plan.weather = Weather::FAIR;
        self.cut.clear();
        self.note(None, "nothing goes wrong any more");
    }
}
