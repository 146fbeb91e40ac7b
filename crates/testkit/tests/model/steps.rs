//! What may happen next: the model as the checker explores it.

use stateright::{Model, Property};

use crate::events::{Happens, price, spend, unasked};
use crate::network::{Answer, Message, Request};
use crate::properties;
use crate::row::{Due, NOW, Phase};
use crate::variants::Variant;
use crate::worker::{Heard, Held, Worker};
use crate::world::{Bounds, Broken, World};

/// What is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) variant: Variant,
    pub(crate) bounds: Bounds,
    /// How many signals the client sends; the code waits for the last one.
    pub(crate) signals: u8,
}

impl Model for Setup {
    type State = World;
    type Action = Happens;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.bounds)]
    }

    /// What is worth trying; `next_state` drops what cannot happen.
    fn actions(&self, world: &World, next: &mut Vec<Happens>) {
        // What follows from a mistake shows nothing new.
        if world.broken.is_some() {
            return;
        }
        next.extend([Happens::Withdraw, Happens::Signal, Happens::Cancel, Happens::Sweep]);
        if self.variant == Variant::SweepReadsFirst {
            next.push(Happens::SweepReads);
        }
        for message in &world.network {
            next.extend([Happens::Deliver(*message), Happens::DeliverCopy(*message)]);
        }
        for worker in 0..2 {
            next.extend([Happens::Lease { worker, lost: false }, Happens::Repeat(worker)]);
        }
        // After the end only what may still write is of interest: what a fault takes away is like
        // what stays on its way.
        if !world.row.ended() {
            unasked(world, next);
        }
    }

    fn next_state(&self, world: &World, what: Happens) -> Option<World> {
        // Before anything is copied: most of what is tried is not left.
        let mut left = world.left;
        if let Some(left) = price(&mut left, &what) {
            spend(left)?;
        }
        let mut next = World { left, ..world.clone() };
        self.happen(&mut next, what)?;
        next.forget_answers();
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Setup {
    fn happen(&self, world: &mut World, what: Happens) -> Option<()> {
        match what {
            Happens::Lease { worker, lost } => self.lease(world, worker, lost),
            Happens::Withdraw => withdraw(world),
            Happens::Signal => (world.signals < self.signals && world.signal()).then_some(()),
            Happens::Cancel => world.cancel().then_some(()),
            Happens::Sweep => self.sweep(world),
            Happens::SweepReads => {
                world.swept = Some(world.row).filter(|row| row.load().expire(NOW).is_some());
                Some(())
            }
            Happens::Deliver(message) => {
                world.network.remove(&message);
                self.deliver(world, message);
                Some(())
            }
            Happens::DeliverCopy(message) => {
                matches!(message, Message::Ask(_)).then(|| self.deliver(world, message))
            }
            Happens::Lose(message) => world.network.remove(&message).then_some(()),
            Happens::Repeat(worker) => repeat(world, worker),
            Happens::Beat(worker) => {
                let lease = world.workers[usize::from(worker)].held()?.lease;
                let beat = Message::Ask(Request::Beat { worker, lease });
                world.network.insert(beat).then_some(())
            }
            Happens::ReadInbox(worker) => {
                let inbox = world.row.inbox;
                self.change(world, worker, |held| held.inbox = inbox)
            }
            Happens::Suspend(worker) => {
                let held = world.workers[usize::from(worker)].held_mut()?;
                held.waits(self.signals).then(|| held.suspend(worker))?;
                post(world, worker);
                Some(())
            }
            Happens::Drain(worker) => self.change(world, worker, |held| held.draining = true),
            Happens::Crash(worker) => {
                let process = &mut world.workers[usize::from(worker)];
                process.held()?;
                *process = Worker::Idle;
                Some(())
            }
            Happens::LeaseTimeIsUp => lease_time_is_up(world),
            Happens::GraceIsOver => {
                *world.row.cancel.as_mut()? = Due::Now;
                Some(())
            }
            Happens::PauseIsOver => {
                let Phase::Queued { ready } = &mut world.row.phase else { return None };
                *ready = Due::Now;
                Some(())
            }
        }
    }

    fn lease(&self, world: &mut World, worker: u8, lost: bool) -> Option<()> {
        let place = usize::from(worker);
        if world.workers[place] != Worker::Idle || !world.lease(worker) {
            return None;
        }
        if lost {
            return Some(());
        }
        world.workers[place] = Worker::Holds(Held {
            lease: world.leases,
            journal: world.journal.iter().map(|entry| entry.result).collect(),
            next_seq: world.row.next_seq,
            inbox: world.row.inbox,
            cancel: false,
            draining: false,
            flight: None,
        });
        self.change(world, worker, |_| {})
    }

    /// Something changes what a worker knows; it goes on if it can.
    fn change(&self, world: &mut World, worker: u8, change: impl FnOnce(&mut Held)) -> Option<()> {
        let held = world.workers[usize::from(worker)].held_mut()?;
        let before = held.flight;
        change(held);
        held.go_on(worker, self.signals);
        if held.flight != before {
            post(world, worker);
        }
        Some(())
    }

    fn deliver(&self, world: &mut World, message: Message) {
        match message {
            Message::Ask(request) => {
                let answer = world.serve(&request, self.variant);
                world.network.insert(Message::Answer(request, answer));
            }
            Message::Answer(request, answer) => self.hear(world, request.worker(), answer),
        }
    }

    fn hear(&self, world: &mut World, worker: u8, answer: Answer) {
        let Some(held) = world.workers[usize::from(worker)].held_mut() else { return };
        let heard = held.hear(answer);
        let in_journal = world.journal.iter().map(|entry| &entry.result);
        let forgotten = !held.journal.iter().eq(in_journal.take(held.journal.len()));
        match heard {
            Heard::Read => held.inbox = world.row.inbox,
            Heard::Well => {}
            Heard::Ended | Heard::Lost | Heard::Blamed => {
                world.workers[usize::from(worker)] = Worker::Idle;
            }
        }
        world.note(heard == Heard::Blamed, Broken::Blamed);
        world.note(forgotten, Broken::Forgotten);
        self.change(world, worker, |_| {});
    }

    fn sweep(&self, world: &mut World) -> Option<()> {
        if self.variant != Variant::SweepReadsFirst {
            return world.sweep().then_some(());
        }
        let seen = world.swept.take()?;
        world.sweep_blindly(seen).then_some(())
    }
}

/// Puts the commit of a worker on its way.
fn post(world: &mut World, worker: u8) {
    let request = world.workers[usize::from(worker)].held().and_then(Held::request);
    world.network.extend(request.map(Message::Ask));
}

/// The very same request again, because it was lost, or its answer. While either is on its way this
/// would be a copy, which is a fault of its own.
fn repeat(world: &mut World, worker: u8) -> Option<()> {
    let request = world.workers[usize::from(worker)].held()?.request()?;
    let under_way = world.network.iter().any(|message| *message.request() == request);
    (!under_way).then(|| post(world, worker))
}

/// The control plane notices that a poller has gone. It may be wrong about that.
fn withdraw(world: &mut World) -> Option<()> {
    if world.owner_lives() {
        spend(&mut world.left.expiries)?;
    }
    world.withdraw().then_some(())
}

/// The time of a lease is up: sooner or later if nobody keeps it alive, else if its owner, or the
/// network, or the clock, is slow.
fn lease_time_is_up(world: &mut World) -> Option<()> {
    let lives = world.owner_lives();
    let Phase::Running { expired: expired @ Due::Later, .. } = &mut world.row.phase else {
        return None;
    };
    *expired = Due::Now;
    if lives { spend(&mut world.left.expiries) } else { Some(()) }
}
