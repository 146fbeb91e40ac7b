//! A client: it creates one run, sends it signals, perhaps cancels it, and watches it to its end.
//! It repeats what it does not know the outcome of, and notes what it was told.

use std::sync::Arc;

use tenure_core::run::WaitReason;
use tenure_core::{Error, ErrorKind, Name, Payload, RunId, RunState};

use crate::calls::{Calls, Manner, Ring};
use crate::message::{Address, CallId, Reply, Request};
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
    Cancel,
    Retry,
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
        let script = Arc::new(Script::new(&mut world.dice));
        let mut signals = script.signals();
        // Some that nobody waits for.
        let more = world.dice.number(0, 2);
        signals.extend((0..more).map(|_| script::signal(&mut world.dice)));
        let begin = world.dice.millis(0, 60_000);
        world.alarm(me, begin, Alarm::Do(Purpose::Create));
        let (calls, key) = (Calls::new(me), me.node.to_string());
        Self { me, calls, key, script, signals, run: None, cursor: 0, over: false }
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
            Purpose::Cancel => Request::Cancel { run },
            Purpose::Retry => Request::Retry { run },
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
            (Purpose::Cancel, Reply::Done(run)) => world.oracle.told_cancelled(run.id),
            (Purpose::Watch, Reply::Page { run, entries, .. }) => {
                world.oracle.read(&run, &entries);
                self.cursor = entries.last().map_or(self.cursor, |last| last.seq);
                self.watched(world, &run.state);
            }
            (Purpose::Signal(_), Reply::Refused(error)) => self.refused(world, &error),
            (Purpose::Retry, _) => {}
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
        if world.dice.chance(120) {
            let wait = world.dice.millis(0, 40_000);
            world.alarm(self.me, wait, Alarm::Do(Purpose::Cancel));
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
        if blocked || world.dice.chance(20) {
            self.act(world, Purpose::Retry);
        }
        self.watch(world);
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
