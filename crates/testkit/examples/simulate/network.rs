//! The network: it delays, reorders, copies and loses messages, and cuts parties off from each other.

use std::time::Duration;

use crate::message::{Address, CallId, Caller, Hint, Message, Node, Reply, Request};
use crate::world::{Event, World};

impl World {
    /// Puts a message on its way.
    pub(crate) fn send(&mut self, from: Node, to: Node, message: Message) {
        if self.cut.contains(&(from, to)) || self.dice.chance(self.plan.weather.lost) {
            self.figures.lost += 1;
            return;
        }
        if self.dice.chance(self.plan.weather.copied) {
            self.figures.copied += 1;
            self.travel(to, message.clone());
        }
        self.travel(to, message);
    }

    fn travel(&mut self, to: Node, message: Message) {
        let delay = self.delay();
        self.enter(delay, Event::Arrives(to, message));
    }

    /// Most messages are fast, some overtake others by far.
    fn delay(&mut self) -> Duration {
        if self.dice.chance(self.plan.weather.slow) {
            return self.dice.millis(100, 4_000);
        }
        if self.dice.chance(100) { self.dice.millis(5, 100) } else { self.dice.millis(0, 5) }
    }

    /// Sends a request to some replica, as a load balancer does; which one.
    pub(crate) fn ask(&mut self, who: Address, call: CallId, request: Request) -> Node {
        let to = Node::ControlPlane(self.some(self.plan.control_planes));
        self.send(who.node, to, Message::Ask(Caller { who, call }, request));
        to
    }

    /// One of so many.
    pub(crate) fn some(&mut self, of: u8) -> u8 {
        u8::try_from(self.dice.place(usize::from(of))).unwrap_or(0)
    }

    /// Answers a call.
    pub(crate) fn answer(&mut self, from: Node, to: Caller, reply: Reply) {
        self.send(from, to.who.node, Message::Answer(to, reply));
    }

    /// Tells the other replicas to look again. Each of them may miss it.
    pub(crate) fn broadcast(&mut self, from: Node, hint: Hint) {
        for place in 0..self.plan.control_planes {
            let to = Node::ControlPlane(place);
            if to != from && !self.dice.chance(self.plan.weather.hints_lost) {
                self.send(from, to, Message::Hint(hint));
            }
        }
    }

    /// Whether a process reaches the database now.
    pub(crate) fn reaches_database(&self, node: Node) -> bool {
        let there = self.process(Node::Database).frozen_until <= self.now;
        there && !self.cut.contains(&(node, Node::Database))
    }
}
