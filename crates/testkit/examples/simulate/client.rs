//! A client: it creates one run, sends it signals, perhaps cancels it, and watches it to its end.
//! It repeats what it does not know the outcome of, and notes what it was told.

use std::sync::Arc;

use tenure_core::run::{Policy, WaitReason};
use tenure_core::steering::Steer;
use tenure_core::{Error, ErrorKind, Name, Payload, RunId, RunState};

use crate::calls::{Calls, Manner, Ring};
use crate::message::{Address, CallId, How, Reply, Request};
use crate::oracle::ACKED_RUNS;
use crate::script::{self, Script};
use crate::world::{self, World};

/// A client of one run.
pub(crate) struct Client {
    me: Address,
    calls: Calls<Purpose>,
    key: String,
    script: Arc<Script>,
    signals: Vec<Name>,
    /// Which one it gives its run at times.
    priority: i32,
    run: Option<RunId>,
    /// Up to where it has read the journal.
    cursor: u64,
    over: bool,
}

/// What a call is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Create,
    Signal(usize),
    Steer(Steer),
    Watch,
}

pub(crate) enum Alarm {
    Do(Purpose),
    Call(Ring<Purpose>),
}

impl From<Alarm> for world::Alarm {
    fn from(alarm: Alarm) -> Self {
        Self::Client(alarm)
    }
}

impl From<Ring<Purpose>> for world::Alarm {
    fn from(ring: Ring<Purpose>) -> Self {
        Self::Client(Alarm::Call(ring))
    }
}

impl Client {
    pub(crate) fn start(me: Address, world: &mut World) -> Self {
        let script = Arc::new(Script::new(&mut world.dice, &mut world.store.library));
        let mut signals = script.signals();
        // Some that nobody waits for.
        let more = world.dice.number(0, 2);
        signals.extend((0..more).map(|_| script::signal(&mut world.dice)));
        let begin = world.dice.millis(0, 60_000);
        world.alarm(me, begin, Alarm::Do(Purpose::Create));
        let (calls, key) = (Calls::new(me), me.node.to_string());
        let priority = if world.dice.chance(500) { -5 } else { 9 };
        Self { me, calls, key, script, signals, priority, run: None, cursor: 0, over: false }
    }

    /// Whether it has seen the end of its run.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    pub(crate) fn ring(&mut self, world: &mut World, alarm: Alarm) {
        match alarm {
            Alarm::Do(purpose) => self.act(world, purpose),
            Alarm::Call(ring) => {
                if let Some((purpose, reply)) = self.calls.ring(world, ring) {
                    self.learn(world, purpose, reply);
                }
            }
        }
    }

    pub(crate) fn hear(&mut self, world: &mut World, call: CallId, reply: Reply) {
        if let Some((purpose, reply)) = self.calls.heard(world, call, reply) {
            self.learn(world, purpose, reply);
        }
    }

    fn act(&mut self, world: &mut World, purpose: Purpose) {
        if !self.over {
            let request = self.request(purpose);
            self.calls.ask(world, purpose, request, Manner::UNTIL_ANSWERED);
        }
    }

    fn request(&self, purpose: Purpose) -> Request {
        let (key, script) = (self.key.clone(), self.script.clone());
        let Some(run) = self.run else { return Request::Create { key, script } };
        match purpose {
            Purpose::Create => Request::Create { key, script },
            Purpose::Signal(place) => {
                let source = format!("{key}:{place}");
                let payload = Payload::json(source.clone());
                Request::Signal { run, source, name: self.signals[place].clone(), payload }
            }
            Purpose::Steer(Steer::Prioritize) => {
                let how = How::Prioritize(self.priority);
                Request::Steer { run, how }
            }
            Purpose::Steer(steer) => Request::Steer { run, how: How::Do(steer) },
            Purpose::Watch => Request::Watch { run, after: self.cursor },
        }
    }

    fn learn(&mut self, world: &mut World, purpose: Purpose, reply: Reply) {
        match (purpose, reply) {
            (Purpose::Create, Reply::Done(run)) => {
                world.oracle.told_created(&self.key, run.id);
                if self.run.replace(run.id).is_none() {
                    self.plan(world);
                }
            }
            (Purpose::Signal(place), Reply::Done(run)) => {
                world.oracle.told_delivered(run.id, &format!("{}:{place}", self.key));
                self.perhaps_again(world, purpose);
            }
            (Purpose::Steer(steer), Reply::Done(run)) => world.oracle.told_steered(run.id, steer),
            (Purpose::Watch, Reply::Page { run, entries, .. }) => {
                world.oracle.read(&run, &entries);
                self.cursor = entries.last().map_or(self.cursor, |last| last.seq);
                self.watched(world, &run.state);
            }
            (Purpose::Signal(_), Reply::Refused(error)) => self.refused(world, &error),
            // It is in no state for that.
            (Purpose::Steer(_), Reply::Refused(error)) if error.kind() == ErrorKind::WrongState => {
            }
            // Another run has its turn: it asks again later.
            (Purpose::Create, Reply::Refused(error)) if self.may_be_refused(&error) => {
                // Not for ever: it may be refused as long as there are others.
                self.over = world.plan.weather.is_fair();
                let pause = world.dice.millis(1_000, 10_000);
                world.alarm(self.me, pause, Alarm::Do(Purpose::Create));
            }
            (_, reply) => {
                let what = format!("its client was told: {reply}");
                world.oracle.violated(ACKED_RUNS, self.run, what);
            }
        }
    }

    /// The run is there: what else will be done to it.
    fn plan(&mut self, world: &mut World) {
        self.perhaps_again(world, Purpose::Create);
        for place in 0..self.signals.len() {
            let wait = world.dice.millis(0, 40_000);
            world.alarm(self.me, wait, Alarm::Do(Purpose::Signal(place)));
        }
        let steers = [
            (Steer::Cancel, 120),
            (Steer::Pause, 150),
            (Steer::Resume, 50),
            (Steer::Prioritize, 100),
        ];
        for (steer, chance) in steers {
            if world.dice.chance(chance) {
                let wait = world.dice.millis(0, 40_000);
                world.alarm(self.me, wait, Alarm::Do(Purpose::Steer(steer)));
            }
        }
        self.watch(world);
    }

    /// Sends something again although it was acknowledged.
    fn perhaps_again(&self, world: &mut World, purpose: Purpose) {
        if world.dice.chance(100) {
            let wait = world.dice.millis(0, 10_000);
            world.alarm(self.me, wait, Alarm::Do(purpose));
        }
    }

    fn watch(&self, world: &mut World) {
        let wait = world.dice.millis(500, 4_000);
        world.alarm(self.me, wait, Alarm::Do(Purpose::Watch));
    }

    fn watched(&mut self, world: &mut World, state: &RunState) {
        self.over |= state.is_terminal();
        let blocked = matches!(state, RunState::Waiting { reason: WaitReason::Blocked(_) });
        if (blocked && world.dice.chance(300)) || world.dice.chance(20) {
            self.act(world, Purpose::Steer(Steer::Retry));
        }
        self.watch(world);
    }

    /// Whether its run is not to wait for a turn that another one has.
    fn may_be_refused(&self, error: &Error) -> bool {
        let concurrency = self.script.terms.concurrency.as_ref();
        let rejects = concurrency.is_some_and(|one| one.policy == Policy::Reject);
        rejects && error.kind() == ErrorKind::WrongState
    }

    fn refused(&self, world: &mut World, error: &Error) {
        let Some(run) = self.run else { return };
        if error.kind() == ErrorKind::WrongState {
            world.oracle.told_ended(run, error);
        } else {
            world.oracle.violated(ACKED_RUNS, Some(run), format!("its client was told: {error}"));
        }
    }
}
