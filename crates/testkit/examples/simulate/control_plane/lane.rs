//! The lane: what arrives while one transaction commits is done by the next one, in order. Find and
//! lock, decide, save, commit, reply.

use std::mem;

use tenure_core::{Failure, Key, LeaseId, Payload, RunId, Steering, Usage};

use super::batch::Batch;
use super::create::Create;
use super::{Alarm, ControlPlane, latency, unavailable};
use crate::guard::Guard;
use crate::message::{Caller, Reply, Request};
use crate::store::Place;
use crate::world::World;

/// A command that waits for its transaction.
pub(super) enum Job {
    Asked(Caller, Request),
    /// An offer did not reach anybody.
    Withdraw {
        run: RunId,
        lease: LeaseId,
    },
    /// A message between runs is being delivered.
    Own(Place, Own),
}

/// What a message between runs causes in one run.
pub(super) enum Own {
    /// A run calls another one.
    Call(Create),
    /// A called run has ended, or could not be called.
    End {
        run: RunId,
        key: Key,
        result: Result<Payload, Failure>,
        usage: Option<Usage>,
    },
    Cancel {
        run: RunId,
        by: Steering,
    },
}

impl ControlPlane {
    pub(super) fn join_lane(&mut self, world: &mut World, job: Job) {
        self.lane.push(job);
        self.begin_settle(world);
    }

    fn begin_settle(&mut self, world: &mut World) {
        if !self.settling && !self.lane.is_empty() {
            self.settling = true;
            let latency = latency(world);
            world.alarm(self.me, latency, Alarm::Settle);
        }
    }

    /// One transaction for all that waits. Nothing is answered before it has committed.
    pub(super) fn settle(&mut self, world: &mut World) {
        let mut batch = Batch::new(world, self.me.node);
        let mut replies = Vec::new();
        for job in mem::take(&mut self.lane) {
            match batch.decide(world, &job) {
                Some(reply) => replies.push((job, reply)),
                None => self.lane.push(job),
            }
        }
        let died = world.plan.lacks(Guard::Reply) && world.dice.chance(20);
        let hints = if died { Vec::new() } else { batch.commit(world) };
        if world.dice.chance(world.plan.weather.unsure) {
            // The connection was lost in the COMMIT: it has happened, and nobody knows.
            for (_, reply) in &mut replies {
                *reply = Reply::Refused(unavailable());
            }
        }
        self.tell(world, hints);
        self.tell_askers(world, replies);
        self.settling = false;
        self.begin_settle(world);
    }

    fn tell_askers(&mut self, world: &mut World, replies: Vec<(Job, Reply)>) {
        let mut answers = Vec::new();
        for (job, reply) in replies {
            match job {
                Job::Asked(caller, _) => answers.push((caller, reply)),
                Job::Own(place, own) => self.own_done(world, place, own, &reply),
                Job::Withdraw { .. } => {}
            }
        }
        let gap = world.dice.millis(0, 3);
        world.alarm(self.me, gap, Alarm::Say(answers));
    }
}
