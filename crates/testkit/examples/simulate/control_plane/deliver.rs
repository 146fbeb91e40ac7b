//! Deliver: what runs cause in other runs. Every replica takes what is due, does it through its
//! lane, and drops it; done twice it is as done once. Whoever dies in between leaves nothing behind.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use tenure_core::run::Parent;
use tenure_core::{Call, Error, Failure, Key, Message, Run, RunId, Steering, limits};

use super::create::Create;
use super::lane::{Job, Own};
use super::{Alarm, ControlPlane, latency};
use crate::guard::Guard;
use crate::message::Reply;
use crate::store::{Place, Posted};
use crate::world::World;

/// The messages that a replica is delivering.
#[derive(Default)]
pub(super) struct Delivery {
    busy: bool,
    /// How many commands of each are not done yet.
    open: BTreeMap<Place, usize>,
    /// Those with a command that has to be tried again: they stay.
    failed: BTreeSet<Place>,
    done: Vec<Place>,
}

impl ControlPlane {
    /// One round at a time.
    pub(super) fn begin_delivery(&mut self, world: &mut World) {
        if !mem::replace(&mut self.delivery.busy, true) {
            let latency = latency(world);
            world.alarm(self.me, latency, Alarm::Take);
        }
    }

    /// Takes what is due. Its work is another transaction: in between the replica may die.
    pub(super) fn take(&mut self, world: &mut World) {
        if !world.reaches_database(self.me.node) {
            return self.end_delivery();
        }
        let (now, first) = (world.store.clock(world.now), !world.plan.lacks(Guard::Calls));
        let taken = world.store.take_messages(now, limits::MESSAGE_RETRY, first);
        if world.plan.lacks(Guard::Taken) {
            for posted in &taken {
                world.store.drop_message(posted.place);
            }
        }
        if taken.is_empty() {
            return self.end_delivery();
        }
        let latency = latency(world);
        world.alarm(self.me, latency, Alarm::Deliver(taken));
    }

    pub(super) fn deliver(&mut self, world: &mut World, taken: Vec<Posted>) {
        let there = world.reaches_database(self.me.node);
        world.worst_moment(self.me.node);
        for posted in taken.into_iter().filter(|_| there) {
            let place = posted.place;
            match self.jobs(world, posted) {
                None => {}
                Some(jobs) if jobs.is_empty() => self.delivery.done.push(place),
                Some(jobs) => {
                    self.delivery.open.insert(place, jobs.len());
                    for own in jobs {
                        self.join_lane(world, Job::Own(place, own));
                    }
                }
            }
        }
        self.perhaps_delivered(world);
    }

    /// The commands that a message comes to, as far as is known now; nothing if it comes again.
    fn jobs(&mut self, world: &mut World, posted: Posted) -> Option<Vec<Own>> {
        let Posted { place: (run, _), message } = posted;
        Some(match message {
            Message::Call { key, call } => call_of(world, run, key, &call).into_iter().collect(),
            Message::Ended { parent, key, result, usage } => {
                vec![Own::End { run: parent, key, result, usage: Some(usage) }]
            }
            Message::EndChildren { steering } => cancels(world, &steering, |child| {
                child.parent.as_ref().is_some_and(|parent| parent.run == run && !parent.detached)
            }),
            Message::FreeTurn { key } => {
                return self.free_turn(world, run, &key).then(Vec::new);
            }
            Message::TakeTurn { key } => {
                let mine = world.store.run(run).map(|run| (run.created_at, run.id))?;
                cancels(world, &Steering::system("replaced"), |other| {
                    other.concurrency.as_deref() == Some(&*key)
                        && (other.created_at, other.id) < mine
                })
            }
        })
    }

    /// A command of a message is done, or refused.
    pub(super) fn own_done(&mut self, world: &mut World, place: Place, own: Own, reply: &Reply) {
        match (reply, own) {
            // What cannot be called is the result of the call.
            (Reply::Refused(error), Own::Call(Create { parent: Some((parent, _)), .. }))
                if !error.retryable() =>
            {
                let Parent { run, key, .. } = parent;
                let end = Own::End { run, key, result: refused(error), usage: None };
                return self.join_lane(world, Job::Own(place, end));
            }
            // What has come too late has nothing left to do.
            (Reply::Refused(error), _) if error.retryable() => {
                self.delivery.failed.insert(place);
            }
            _ => {}
        }
        let left = self.delivery.open.get_mut(&place).map(|left| {
            *left -= 1;
            *left
        });
        if left == Some(0) {
            self.delivery.open.remove(&place);
            if !self.delivery.failed.remove(&place) {
                self.delivery.done.push(place);
            }
            self.perhaps_delivered(world);
        }
    }

    fn perhaps_delivered(&mut self, world: &mut World) {
        if self.delivery.open.is_empty() {
            let done = mem::take(&mut self.delivery.done);
            let latency = latency(world);
            world.alarm(self.me, latency, Alarm::Drop(done));
        }
    }

    /// Removes what was done, and looks for more.
    pub(super) fn drop_messages(&mut self, world: &mut World, done: &[Place]) {
        if world.reaches_database(self.me.node) {
            for place in done {
                if let Some(message) = world.store.drop_message(*place) {
                    world.oracle.dropped(&world.store, place.0, &message);
                    world.figures.delivered += 1;
                    world.note(Some(place.0), format_args!("message {} is delivered", place.1));
                }
            }
        }
        self.end_delivery();
        if !done.is_empty() {
            self.begin_delivery(world);
        }
    }

    fn end_delivery(&mut self) {
        self.delivery = Delivery::default();
    }
}

/// The creation that a call comes to. The run that calls is read without a lock.
fn call_of(world: &World, parent: RunId, key: Key, call: &Call) -> Option<Own> {
    let caller = world.store.run(parent)?;
    let over = caller.state.is_terminal() && !call.detached;
    if over && world.plan.lacks(Guard::LateCall) {
        return None;
    }
    let name = format!("tenure:call:{parent}/{key}");
    let Some(script) = world.store.called(call).cloned() else {
        let error = Error::not_found("there is no such agent");
        return Some(Own::End { run: parent, key, result: refused(&error), usage: None });
    };
    let link = Parent { run: parent, key, detached: call.detached };
    let parent = Some((link, caller.depth + 1));
    Some(Own::Call(Create { key: name, script, priority: caller.priority, parent }))
}

fn refused<T>(error: &Error) -> Result<T, Failure> {
    Err(Failure::permanent(error.kind().as_str(), error.message()))
}

fn cancels(world: &World, by: &Steering, concerned: impl Fn(&Run) -> bool) -> Vec<Own> {
    let alive = world.store.runs().filter(|run| !run.state.is_terminal() && concerned(run));
    alive.map(|run| Own::Cancel { run: run.id, by: by.clone() }).collect()
}
