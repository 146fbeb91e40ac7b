//! A control plane: it keeps nothing but the list of who is waiting. What it decides, the rules of
//! `tenure_core` decide; what it knows, the database knows.
//!
//! Between the arrival of a request and its transaction, and between the transaction and the reply,
//! time passes: there it may die.

mod batch;
mod beats;
mod create;
mod deliver;
mod dispatch;
mod lane;
mod resolve;
mod sweep;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::WaitReason;
use tenure_core::{Error, Interrupt, InterruptState, Run, RunState};

use crate::message::{Address, Caller, Hint, Message, Reply, Request};
use crate::store::{Place, Posted};
use crate::world::{self, World};
use beats::HeldBeat;
use deliver::Delivery;
use dispatch::Waiter;
use lane::Job;

/// One life of a replica.
pub(crate) struct ControlPlane {
    me: Address,
    /// Commands that wait for the transaction after this one.
    lane: Vec<Job>,
    settling: bool,
    /// Polls that are held, in the order in which they came.
    line: Vec<Waiter>,
    claiming: bool,
    /// Heartbeats that are held.
    beats: BTreeMap<Caller, HeldBeat>,
    delivery: Delivery,
}

/// What a replica waits for on its own.
pub(crate) enum Alarm {
    /// It looks by itself, in case a hint was lost.
    Tick,
    Settle,
    Claim,
    HandOut(Vec<(Caller, Vec<Arc<Run>>)>),
    PollOver(Caller),
    Beat(Caller),
    BeatOver(Caller),
    Look(Caller, Request),
    /// With what it read before, where the guard is missing.
    Sweep(Option<Vec<Arc<Run>>>),
    /// Questions whose time is up.
    TimeOut,
    /// Messages between runs: taken, delivered, dropped, in transactions of their own.
    Take,
    Deliver(Vec<Posted>),
    Drop(Vec<Place>),
    Say(Vec<(Caller, Reply)>),
}

impl From<Alarm> for world::Alarm {
    fn from(alarm: Alarm) -> Self {
        Self::ControlPlane(alarm)
    }
}

/// Entries, and inbox items, in one page: so few that pages are common.
const PAGE: usize = 3;
/// About how often a replica looks by itself.
const TICK: Duration = Duration::from_millis(500);

impl ControlPlane {
    pub(crate) fn start(me: Address, world: &mut World) -> Self {
        world.alarm(me, TICK, Alarm::Tick);
        let (lane, line, beats) = (Vec::new(), Vec::new(), BTreeMap::new());
        let delivery = Delivery::default();
        Self { me, lane, settling: false, line, claiming: false, beats, delivery }
    }

    pub(crate) fn hear(&mut self, world: &mut World, message: Message) {
        match message {
            Message::Ask(caller, request) => self.asked(world, caller, request),
            Message::Cut(caller) => self.cut(caller),
            Message::Hint(hint) => self.hinted(world, hint),
            Message::Answer(..) => {}
        }
    }

    fn asked(&mut self, world: &mut World, caller: Caller, request: Request) {
        match request {
            Request::Create { .. }
            | Request::Signal { .. }
            | Request::Steer { .. }
            | Request::Answer { .. }
            | Request::Commit(_) => self.join_lane(world, Job::Asked(caller, request)),
            Request::Poll { worker, capacity, wait } => {
                self.poll(world, Waiter { caller, worker, capacity }, wait);
            }
            Request::Beat { worker, leases, wait } => {
                self.hold_beat(world, caller, HeldBeat::new(worker, leases, world.now + wait));
            }
            Request::Watch { .. }
            | Request::ListOpen
            | Request::ReadJournal { .. }
            | Request::ReadInbox { .. } => {
                let latency = latency(world);
                world.alarm(self.me, latency, Alarm::Look(caller, request));
            }
        }
    }

    pub(crate) fn ring(&mut self, world: &mut World, alarm: Alarm) {
        match alarm {
            Alarm::Tick => self.tick(world),
            Alarm::Settle => self.settle(world),
            Alarm::Claim => self.claim(world),
            Alarm::HandOut(offers) => self.hand_out(world, offers),
            Alarm::PollOver(caller) => self.poll_over(world, caller),
            Alarm::Beat(caller) => self.beat(world, caller),
            Alarm::BeatOver(caller) => self.beat_over(world, caller),
            Alarm::Look(caller, request) => {
                let reply = self.look(world, &request);
                world.answer(self.me.node, caller, reply);
            }
            Alarm::Sweep(rows) => self.sweep(world, rows),
            Alarm::TimeOut => self.time_out(world),
            Alarm::Take => self.take(world),
            Alarm::Deliver(taken) => self.deliver(world, taken),
            Alarm::Drop(done) => self.drop_messages(world, &done),
            Alarm::Say(replies) => {
                for (caller, reply) in replies {
                    world.answer(self.me.node, caller, reply);
                }
            }
        }
    }

    /// Told to stop: everybody who waits is answered empty and will ask elsewhere.
    pub(crate) fn stop(&mut self, world: &mut World) {
        for Waiter { caller, .. } in std::mem::take(&mut self.line) {
            world.answer(self.me.node, caller, Reply::Leased(Vec::new()));
        }
        for caller in std::mem::take(&mut self.beats).into_keys() {
            world.answer(self.me.node, caller, Reply::News(Vec::new()));
        }
    }

    fn tick(&mut self, world: &mut World) {
        let next = world.dice.jittered(TICK * 2);
        world.alarm(self.me, next, Alarm::Tick);
        self.begin_sweep(world);
        self.begin_time_out(world);
        self.begin_delivery(world);
        self.begin_claim(world);
    }

    fn cut(&mut self, caller: Caller) {
        self.line.retain(|waiter| waiter.caller != caller);
        self.beats.remove(&caller);
    }

    fn hinted(&mut self, world: &mut World, hint: Hint) {
        match hint {
            Hint::Pool => self.begin_claim(world),
            Hint::Worker(worker) => self.wake_beats(world, worker),
            Hint::Posted => self.begin_delivery(world),
        }
    }

    /// Hints are told after the commit: here at once, and to the others by messages.
    fn tell(&mut self, world: &mut World, hints: Vec<Hint>) {
        for hint in hints {
            self.hinted(world, hint);
            if hint != Hint::Posted {
                world.broadcast(self.me.node, hint);
            }
        }
    }

    /// A page of a journal or an inbox, read without a lock.
    fn look(&self, world: &World, request: &Request) -> Reply {
        if !world.reaches_database(self.me.node) {
            return Reply::Refused(unavailable());
        }
        if let Request::ListOpen = request {
            return open(world);
        }
        let (Request::Watch { run, after }
        | Request::ReadJournal { run, after }
        | Request::ReadInbox { run, after }) = request
        else {
            return Reply::Refused(Error::internal("that is not read"));
        };
        let Some(row) = world.store.run(*run).cloned() else {
            return Reply::Refused(Error::not_found(format!("there is no run {run}")));
        };
        let after = usize::try_from(*after).unwrap_or(usize::MAX);
        if matches!(request, Request::ReadInbox { .. }) {
            let items: Vec<_> =
                world.store.inbox(*run).iter().skip(after).take(PAGE).cloned().collect();
            let more = items.last().is_some_and(|last| last.number < row.inbox);
            return Reply::Inbox { items, more };
        }
        let entries: Vec<_> =
            world.store.journal(*run).iter().skip(after).take(PAGE).cloned().collect();
        let more = entries.last().is_some_and(|last| last.seq + 1 < row.next_seq);
        Reply::Page { run: row, entries, more }
    }
}

/// Questions that are open, and runs that somebody has to help.
fn open(world: &World) -> Reply {
    let open = |one: &&Interrupt| one.state == InterruptState::Open;
    let questions = world.store.interrupts().filter(open).cloned().collect();
    let waits = |run: &&Arc<Run>| {
        let RunState::Waiting { reason } = &run.state else { return false };
        matches!(reason, WaitReason::Blocked(_) | WaitReason::Paused(_))
    };
    Reply::Open { questions, runs: world.store.runs().filter(waits).cloned().collect() }
}

fn unavailable() -> Error {
    Error::unavailable("the database is away; try again", "simulated")
}

/// How long a transaction takes, with what comes before it.
fn latency(world: &mut World) -> Duration {
    if world.dice.chance(50) { world.dice.millis(20, 300) } else { world.dice.millis(1, 10) }
}
