//! One simulation: everything happens in the order of the agenda, on one thread.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::Digest;

use crate::client::Client;
use crate::control_plane::ControlPlane;
use crate::dice::Dice;
use crate::faults::Fault;
use crate::figures::Figures;
use crate::guard::Guard;
use crate::message::{Address, Message, Node};
use crate::oracle::Violation;
use crate::person::Person;
use crate::plan::Plan;
use crate::trace::{Line, Trace};
use crate::worker::Worker;
use crate::world::{Alarm, Event, World};

/// How one simulation ended.
pub(crate) struct Outcome {
    pub(crate) figures: Figures,
    /// Of all that happened: the same seed has the same one.
    pub(crate) digest: Digest,
    pub(crate) violation: Option<Violation>,
    /// What happened, if it was to be kept.
    pub(crate) lines: Vec<Line>,
}

struct Simulation {
    world: World,
    control_planes: BTreeMap<u8, ControlPlane>,
    workers: BTreeMap<u8, Worker>,
    clients: BTreeMap<u8, Client>,
    persons: BTreeMap<u8, Person>,
}

/// How long everything may take to come to its end when nothing goes wrong any more: sleeps, pauses
/// between attempts, and what is left of leases.
const BOUND: Duration = Duration::from_mins(5);

/// Simulates a seed. `keep` what happens, to be read afterwards.
pub(crate) fn simulate(seed: u64, without: Option<Guard>, keep: bool) -> Outcome {
    let mut dice = Dice::new(seed);
    let plan = Plan::new(&mut dice, without);
    let world = World::new(dice, plan, Trace::new(keep));
    let mut simulation = Simulation {
        world,
        control_planes: BTreeMap::new(),
        workers: BTreeMap::new(),
        clients: BTreeMap::new(),
        persons: BTreeMap::new(),
    };
    simulation.begin();
    simulation.run();
    simulation.finish()
}

impl Simulation {
    fn begin(&mut self) {
        let plan = self.world.plan.clone();
        self.world.start(Node::Database);
        let control_planes = (0..plan.control_planes).map(Node::ControlPlane);
        let workers = (0..plan.workers).map(Node::Worker);
        let clients = (0..plan.runs).map(Node::Client);
        let persons = (0..plan.persons).map(Node::Person);
        let all = control_planes.chain(workers).chain(clients).chain(persons);
        all.for_each(|node| self.start(node));
        self.world.enter(Duration::ZERO, Event::Fault(Fault::Next));
        self.world.enter(plan.faulty, Event::Fault(Fault::Fair));
    }

    /// Safety while things go wrong; then liveness: everything comes to its end.
    fn run(&mut self) {
        let end = self.world.plan.faulty + BOUND;
        while self.world.oracle.violation().is_none() && self.world.now < end && !self.is_over() {
            let Some(event) = self.world.next() else { return };
            self.happen(event);
        }
    }

    /// Whether every client has seen the end of its run, and every run has ended.
    fn is_over(&self) -> bool {
        self.clients.values().all(Client::is_over)
            && self.world.store.is_quiet()
            && self.world.oracle.have_all_ended()
    }

    fn finish(mut self) -> Outcome {
        let world = &mut self.world;
        if world.oracle.violation().is_none() {
            world.oracle.finish(&world.store, BOUND, &mut world.figures);
        }
        world.figures.simulated = world.now;
        world.figures.events = world.trace.events();
        Outcome {
            figures: world.figures.clone(),
            digest: world.trace.digest(),
            violation: world.oracle.violation().cloned(),
            lines: self.world.trace.into_lines(),
        }
    }

    fn happen(&mut self, event: Event) {
        let node = match &event {
            Event::Arrives(node, _) => *node,
            Event::Alarm(address, _) => address.node,
            Event::Fault(_) => Node::Database,
        };
        let process = self.world.process(node);
        match event {
            Event::Fault(fault) => self.fault(fault),
            // Who is frozen finds everything when it goes on, in the order in which it came.
            event if process.frozen_until > self.world.now => {
                let left = process.frozen_until.saturating_sub(self.world.now);
                self.world.enter(left, event);
            }
            Event::Arrives(..) if !process.up => {}
            Event::Arrives(node, message) => self.arrives(node, message),
            Event::Alarm(who, alarm) if who == self.world.address(node) && process.up => {
                self.ring(who, alarm);
            }
            Event::Alarm(..) => {}
        }
        self.bury(node);
    }

    fn arrives(&mut self, to: Node, message: Message) {
        self.world.note(message.run(), format_args!("{to} hears: {message}"));
        let world = &mut self.world;
        match (to, message) {
            (Node::ControlPlane(place), message) => {
                if let Some(control_plane) = self.control_planes.get_mut(&place) {
                    control_plane.hear(world, message);
                }
            }
            (Node::Worker(place), Message::Answer(caller, reply)) => {
                let worker = self.workers.get_mut(&place);
                if let Some(worker) = worker.filter(|_| caller.who == world.address(to)) {
                    worker.hear(world, caller.call, reply);
                }
            }
            (Node::Client(place), Message::Answer(caller, reply)) => {
                if let Some(client) = self.clients.get_mut(&place) {
                    client.hear(world, caller.call, reply);
                }
            }
            (Node::Person(place), Message::Answer(caller, reply)) => {
                if let Some(person) = self.persons.get_mut(&place) {
                    person.hear(world, caller.call, reply);
                }
            }
            _ => {}
        }
    }

    fn ring(&mut self, who: Address, alarm: Alarm) {
        let world = &mut self.world;
        match (who.node, alarm) {
            (Node::ControlPlane(place), Alarm::ControlPlane(alarm)) => {
                if let Some(control_plane) = self.control_planes.get_mut(&place) {
                    control_plane.ring(world, alarm);
                }
            }
            (Node::Worker(place), Alarm::Worker(alarm)) => {
                if let Some(worker) = self.workers.get_mut(&place) {
                    worker.ring(world, alarm);
                }
            }
            (Node::Client(place), Alarm::Client(alarm)) => {
                if let Some(client) = self.clients.get_mut(&place) {
                    client.ring(world, alarm);
                }
            }
            (Node::Person(place), Alarm::Person(alarm)) => {
                if let Some(person) = self.persons.get_mut(&place) {
                    person.ring(world, alarm);
                }
            }
            _ => {}
        }
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Next => {
                if let Some(fault) = self.world.next_fault() {
                    self.fault(fault);
                }
            }
            Fault::Crash(node) => {
                self.world.figures.crashes += u64::from(self.world.process(node).up);
                self.end(node);
            }
            Fault::Start(node) => self.start(node),
            Fault::Stop(node) => self.stop(node),
            Fault::Heal(node) => self.world.heal(node),
            Fault::Fair => self.world.clear_up(),
        }
    }

    fn start(&mut self, node: Node) {
        let me = self.world.start(node);
        self.world.note(None, format_args!("{me} starts"));
        let world = &mut self.world;
        match node {
            Node::ControlPlane(place) => {
                self.control_planes.insert(place, ControlPlane::start(me, world));
            }
            Node::Worker(place) => {
                self.workers.insert(place, Worker::start(me, world));
            }
            Node::Client(place) => {
                self.clients.insert(place, Client::start(me, world));
            }
            Node::Person(place) => {
                self.persons.insert(place, Person::start(me, world));
            }
            Node::Database => {}
        }
    }

    /// A process is told to stop.
    fn stop(&mut self, node: Node) {
        let process = self.world.process(node);
        if !process.up || process.frozen_until > self.world.now {
            return;
        }
        self.world.figures.drains += 1;
        self.world.note(None, format_args!("{node} is told to stop"));
        match node {
            Node::Worker(place) => {
                if let Some(worker) = self.workers.get_mut(&place) {
                    worker.drain(&mut self.world);
                }
                self.bury(node);
            }
            Node::ControlPlane(place) => {
                if let Some(control_plane) = self.control_planes.get_mut(&place) {
                    control_plane.stop(&mut self.world);
                }
                self.end(node);
            }
            Node::Client(_) | Node::Person(_) | Node::Database => {}
        }
    }

    /// A process that has ended by itself.
    fn bury(&mut self, node: Node) {
        if let Node::Worker(place) = node
            && self.workers.get(&place).is_some_and(Worker::is_gone)
        {
            self.end(node);
        }
    }

    /// A process is gone, with all that it knew. It is started again later.
    fn end(&mut self, node: Node) {
        if !self.world.process(node).up {
            return;
        }
        self.world.note(None, format_args!("{node} ends"));
        self.world.processes.entry(node).or_default().up = false;
        match node {
            Node::Worker(place) => drop(self.workers.remove(&place)),
            Node::ControlPlane(place) => drop(self.control_planes.remove(&place)),
            Node::Client(_) | Node::Person(_) | Node::Database => {}
        }
        let down = self.world.dice.millis(50, 5_000);
        self.world.enter(down, Event::Fault(Fault::Start(node)));
    }
}
