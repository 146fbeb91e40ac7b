//! A worker as `docs/protocol.md` wants it: it takes permits before it polls, keeps its leases alive,
//! replays, executes, commits one thing at a time, and drops what it has lost.

mod beat;
mod drive;
mod journal;
mod leased;
mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::{LeaseId, WorkerId};

use crate::calls::{Calls, Manner, Ring};
use crate::code::FiberId;
use crate::message::{Address, CallId, Offered, Reply, Request};
use crate::world::{self, World};
use beat::Beating;
use leased::Leased;

/// One life of a worker.
pub(crate) struct Worker {
    me: Address,
    id: WorkerId,
    calls: Calls<Purpose>,
    habits: Habits,
    runs: BTreeMap<LeaseId, Leased>,
    polling: bool,
    beating: Option<Beating>,
    life: Life,
}

/// What is different from worker to worker.
struct Habits {
    /// How many runs it executes at a time.
    capacity: usize,
    /// How fast its clock goes, in thousandths of a second a second.
    rate: u32,
    /// Whether it puts what it has to say into one commit where it can.
    gathers: bool,
    /// Whether it has the code of the runs. One that does not blocks them.
    able: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Working,
    Draining,
    Gone,
}

/// What a call is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Poll,
    Beat,
    Commit(LeaseId),
    ReadJournal(LeaseId),
    ReadInbox(LeaseId),
}

/// What a worker waits for on its own.
pub(crate) enum Alarm {
    Poll,
    Beat,
    StepEnds(LeaseId, FiberId),
    SleepEnds(LeaseId, FiberId),
    /// It has been quiet, if so much has changed since as then.
    Park(LeaseId, u64),
    /// The grace of a drain is over: what is being executed is given up.
    Abandon,
    /// And what cannot be given back is left behind.
    Leave,
    Call(Ring<Purpose>),
}

impl From<Alarm> for world::Alarm {
    fn from(alarm: Alarm) -> Self {
        Self::Worker(alarm)
    }
}

impl From<Ring<Purpose>> for world::Alarm {
    fn from(ring: Ring<Purpose>) -> Self {
        Self::Worker(Alarm::Call(ring))
    }
}

/// How long a poll is held.
const POLL: Duration = Duration::from_secs(30);
/// The pause after a poll that failed.
const POLL_PAUSE: Duration = Duration::from_millis(500);
/// How long steps may go on when the worker is told to stop, and how long it then still tries to
/// give the runs back.
const GRACE: Duration = Duration::from_secs(6);
const LAST_TRY: Duration = Duration::from_secs(5);

impl Habits {
    fn new(world: &mut World) -> Self {
        let rough = !world.plan.weather.is_calm();
        Self {
            capacity: 1 + world.dice.place(4),
            rate: world.dice.number(985, 1_015),
            gathers: world.dice.chance(500),
            able: !(rough && world.dice.chance(50)),
        }
    }
}

impl Worker {
    pub(crate) fn start(me: Address, world: &mut World) -> Self {
        world.alarm(me, Duration::ZERO, Alarm::Poll);
        Self {
            me,
            id: WorkerId::new(world.new_id()),
            calls: Calls::new(me),
            habits: Habits::new(world),
            runs: BTreeMap::new(),
            polling: false,
            beating: None,
            life: Life::Working,
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn is_gone(&self) -> bool {
        match self.life {
            Life::Working => false,
            Life::Draining => self.runs.is_empty(),
            Life::Gone => true,
        }
    }

    pub(crate) fn ring(&mut self, world: &mut World, alarm: Alarm) {
        match alarm {
            Alarm::Poll => self.poll(world),
            Alarm::Beat => self.beat(world),
            Alarm::StepEnds(lease, fiber) => self.step_ends(world, lease, fiber),
            Alarm::SleepEnds(lease, fiber) => self.sleep_ends(world, lease, fiber),
            Alarm::Park(lease, changes) => self.park(world, lease, changes),
            Alarm::Abandon => {
                world.alarm(self.me, LAST_TRY, Alarm::Leave);
                self.runs.values_mut().for_each(Leased::abandon);
                self.go_on_all(world);
            }
            Alarm::Leave => self.life = Life::Gone,
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

    fn learn(&mut self, world: &mut World, purpose: Purpose, reply: Reply) {
        match purpose {
            Purpose::Poll => self.polled(world, reply),
            Purpose::Beat => self.beaten(world, reply),
            Purpose::Commit(lease) => self.committed(world, lease, reply),
            Purpose::ReadJournal(lease) => self.journal_read(world, lease, reply),
            Purpose::ReadInbox(lease) => self.inbox_read(world, lease, reply),
        }
    }

    /// Told to stop: no poll and no step begins any more.
    pub(crate) fn drain(&mut self, world: &mut World) {
        self.life = Life::Draining;
        world.alarm(self.me, GRACE, Alarm::Abandon);
        self.go_on_all(world);
    }

    /// Asks for as many runs as there is room for, with one poll at a time.
    fn poll(&mut self, world: &mut World) {
        let capacity = self.habits.capacity.saturating_sub(self.runs.len());
        if self.life != Life::Working || self.polling || capacity == 0 {
            return;
        }
        self.polling = true;
        let wait = world.dice.jittered(POLL);
        let request = Request::Poll { worker: self.id, capacity, wait };
        let manner = Manner::once(wait + Duration::from_secs(2));
        self.calls.ask(world, Purpose::Poll, request, manner);
    }

    fn polled(&mut self, world: &mut World, reply: Reply) {
        self.polling = false;
        let Reply::Leased(offered) = reply else {
            let pause = world.dice.jittered(POLL_PAUSE);
            return world.alarm(self.me, pause, Alarm::Poll);
        };
        for run in offered {
            self.take(world, run);
        }
        self.poll(world);
    }

    /// A run was leased to it: keep it alive first, then read its journal.
    fn take(&mut self, world: &mut World, offered: Offered) {
        world.oracle.read(&offered.run, &offered.entries);
        let more = offered.more;
        let Some(leased) = Leased::new(self.me, self.habits.rate, offered, world.now) else {
            return;
        };
        let lease = leased.lease;
        self.runs.insert(lease, leased);
        if self.beating.is_none() {
            self.beat(world);
        }
        if more {
            self.read_journal(world, lease);
        } else {
            self.begin(world, lease);
        }
    }

    fn read_journal(&mut self, world: &mut World, lease: LeaseId) {
        if let Some(leased) = self.runs.get(&lease) {
            let request = Request::ReadJournal { run: leased.run.id, after: leased.history_len() };
            self.calls.ask(world, Purpose::ReadJournal(lease), request, Manner::UNTIL_ANSWERED);
        }
    }

    fn journal_read(&mut self, world: &mut World, lease: LeaseId, reply: Reply) {
        let (Some(leased), Reply::Page { run, entries, more }) = (self.runs.get_mut(&lease), reply)
        else {
            return self.drop_run(world, lease);
        };
        world.oracle.read(&run, &entries);
        leased.more_history(entries);
        if more {
            self.read_journal(world, lease);
        } else {
            self.begin(world, lease);
        }
    }

    /// The journal is there: the code starts from its beginning.
    fn begin(&mut self, world: &mut World, lease: LeaseId) {
        let able = self.habits.able || world.plan.weather.is_calm();
        let Some(leased) = self.runs.get_mut(&lease) else { return };
        if leased.begin(world, able) {
            self.go_on(world, lease);
        } else {
            // It was not read whole: somebody else goes on with the run.
            self.drop_run(world, lease);
        }
    }

    /// Forgets a run; there is room for another one.
    fn drop_run(&mut self, world: &mut World, lease: LeaseId) {
        self.runs.remove(&lease);
        self.poll(world);
    }

    /// What its own clock shows.
    fn clock(&self, world: &World) -> Duration {
        leased::local(world.now, self.habits.rate)
    }
}
