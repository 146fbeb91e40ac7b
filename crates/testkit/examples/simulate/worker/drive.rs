//! Drives the code of a run: does what it wants, and finds out how the lease ends.

use std::mem;
use std::time::Duration;

use tenure_core::run::Outcome;
use tenure_core::{Failure, LeaseId};

use super::leased::{Leased, Ready, Sleeping};
use super::{Alarm, Life, Purpose, Worker};
use crate::calls::Manner;
use crate::code::{self, FiberId, Stop, Want};
use crate::guard::Guard;
use crate::message::{Reply, Request};
use crate::script::End;
use crate::world::World;

/// How long a run has to be quiet before it is parked.
const QUIET: Duration = Duration::from_millis(100);
/// A sleep that is about to end is not worth another lease.
const NAP: Duration = Duration::from_secs(1);

impl Worker {
    pub(super) fn go_on_all(&mut self, world: &mut World) {
        let leases: Vec<LeaseId> = self.runs.keys().copied().collect();
        for lease in leases {
            self.go_on(world, lease);
        }
    }

    /// Something has happened to a run: it goes on as far as it can.
    pub(super) fn go_on(&mut self, world: &mut World, lease: LeaseId) {
        let draining = self.life != Life::Working;
        let Some(leased) = self.runs.get_mut(&lease).filter(|leased| leased.code.is_some()) else {
            return;
        };
        leased.changes += 1;
        leased.run_code(world);
        leased.begin_steps(world, draining);
        if leased.outcome.is_none() {
            leased.outcome = leased.end(draining);
        }
        if leased.outcome.is_none() && leased.may_park(world) {
            world.alarm(self.me, QUIET, Alarm::Park(lease, leased.changes));
        }
        self.read_inbox(world, lease);
        self.commit(world, lease);
    }

    pub(super) fn step_ends(&mut self, world: &mut World, lease: LeaseId, fiber: FiberId) {
        if let Some(leased) = self.runs.get_mut(&lease) {
            leased.step_ends(world, fiber);
            self.go_on(world, lease);
        }
    }

    pub(super) fn sleep_ends(&mut self, world: &mut World, lease: LeaseId, fiber: FiberId) {
        if let Some(leased) = self.runs.get_mut(&lease) {
            leased.sleep_ends(world, fiber);
            self.go_on(world, lease);
        }
    }

    /// Parks a run that has been quiet, with what it has read of its inbox.
    pub(super) fn park(&mut self, world: &mut World, lease: LeaseId, changes: u64) {
        let Some(leased) = self.runs.get_mut(&lease) else { return };
        if leased.changes == changes && leased.outcome.is_none() && leased.may_park(world) {
            let inbox = leased.code.as_ref().map_or(0, code::Code::received);
            let on = leased.code.as_ref().map_or(Vec::new(), code::Code::waits);
            let wake_after = leased.next_alarm(world);
            leased.outcome = Some(Outcome::Suspend { inbox, wake_after, on });
            self.commit(world, lease);
        }
    }

    /// Reads what has arrived, unless the code is at its end.
    fn read_inbox(&mut self, world: &mut World, lease: LeaseId) {
        let Some(leased) = self.runs.get_mut(&lease) else { return };
        let after = leased.code.as_ref().map_or(0, code::Code::received);
        let wanted = leased.outcome.is_none() && leased.inbox > after;
        if wanted && !mem::replace(&mut leased.reading, true) {
            let request = Request::ReadInbox { run: leased.run.id, after };
            self.calls.ask(world, Purpose::ReadInbox(lease), request, Manner::UNTIL_ANSWERED);
        }
    }

    pub(super) fn inbox_read(&mut self, world: &mut World, lease: LeaseId, reply: Reply) {
        let (Some(leased), Reply::Inbox { items, more }) = (self.runs.get_mut(&lease), reply)
        else {
            return;
        };
        leased.reading = false;
        let read = items.last().map_or(0, |last| last.number);
        leased.hear(read + u64::from(more), false);
        if let (None, Some(code)) = (&leased.outcome, &mut leased.code) {
            let wants = code.receive(items);
            leased.want(world, wants);
        }
        self.go_on(world, lease);
    }
}

impl Leased {
    fn run_code(&mut self, world: &mut World) {
        let (None, Some(code)) = (&self.outcome, &mut self.code) else { return };
        match code.go_on() {
            Ok(wants) => self.want(world, wants),
            Err(error) => world.oracle.stuck(self.run.id, &error),
        }
    }

    pub(super) fn want(&mut self, world: &mut World, wants: impl IntoIterator<Item = Want>) {
        for want in wants {
            match want {
                Want::Do { fiber, key, takes, work } => {
                    self.ready.push_back(Ready { fiber, key, takes, work });
                }
                Want::Record { fiber, record } => self.records.push_back((fiber, record)),
                Want::Sleep { fiber, key, began, length } => {
                    let age = began.map_or(Duration::ZERO, |began| self.age(began, world));
                    let left = length.saturating_sub(age);
                    let due = self.clock(world) + left;
                    self.sleeping.insert(fiber, Sleeping { key, length, due });
                    world.alarm(self.me, self.real(left), Alarm::SleepEnds(self.lease, fiber));
                }
            }
        }
    }

    /// What these fibers wanted to be recorded is in the journal.
    pub(super) fn recorded(&mut self, world: &mut World, fibers: Vec<FiberId>) {
        // Whose outcome is decided does nothing more; but a suspend may be refused.
        let goes_on = matches!(self.outcome, None | Some(Outcome::Suspend { .. }));
        let Some(code) = self.code.as_mut().filter(|_| goes_on) else { return };
        let recorded = fibers.into_iter().map(|fiber| code.recorded(fiber));
        match recorded.collect::<Result<Vec<_>, _>>() {
            Ok(wants) => self.want(world, wants.into_iter().flatten()),
            Err(error) => world.oracle.stuck(self.run.id, &error),
        }
    }

    fn sleep_ends(&mut self, world: &mut World, fiber: FiberId) {
        let Some(Sleeping { key, length, .. }) = self.sleeping.remove(&fiber) else { return };
        // Also while a suspend is under way: it may be refused, and the code goes on.
        if let Some(code) = &mut self.code {
            world.oracle.woke(world.now, self.run.id, &key, length);
            code.woke(fiber);
        }
    }

    /// How the lease ends, if it does now.
    fn end(&self, draining: bool) -> Option<Outcome> {
        if self.cancel {
            return Some(Outcome::Cancelled);
        }
        let code = self.code.as_ref()?;
        match (code.stop().cloned(), code.output()) {
            (Some(Stop::Blocked(failure)), _) => return Some(Outcome::Block(failure)),
            (Some(Stop::Failed { failure, again }), _) => {
                return Some(Outcome::Fail { failure, retry_after: None, again });
            }
            (None, Some(output)) => return Some(self.outcome_of(output)),
            (None, None) => {}
        }
        let starting = code.is_starting() || self.ready.iter().any(Ready::has_started);
        let at_rest = self.executing.is_empty() && !starting;
        (self.is_leaving(draining) && (at_rest || self.abandoned)).then_some(Outcome::Release)
    }

    /// Whether the run is to be given back: the worker goes away, or the run is to rest.
    pub(super) fn is_leaving(&self, draining: bool) -> bool {
        draining || self.pause
    }

    fn outcome_of(&self, output: tenure_core::Payload) -> Outcome {
        let failure = Failure::permanent("as_written", "the script says so");
        match self.script.end {
            End::Fail => Outcome::Fail { failure, retry_after: None, again: Vec::new() },
            End::SucceedAfter(attempts) if self.run.attempts < attempts => {
                let (retry_after, again) = (Some(Duration::from_secs(1)), Vec::new());
                Outcome::Fail { failure, retry_after, again }
            }
            End::Succeed | End::SucceedAfter(_) => Outcome::Succeed(output),
        }
    }

    /// Whether it can only go on when something arrives: the code waits, nothing is being executed
    /// or recorded, and it has been given all that was read.
    fn may_park(&self, world: &World) -> bool {
        let Some(code) = &self.code else { return false };
        let recording = self.flight.is_some() || !self.records.is_empty();
        let settled = !recording || world.plan.lacks(Guard::Parking);
        let awake = self.next_alarm(world).is_none_or(|left| left > NAP);
        let idle = self.ready.is_empty() && self.executing.is_empty();
        code.is_parked() && settled && awake && !self.reading && idle
    }
}
