//! The decisions of one transaction: each command on the run as the commands before it left it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenure_core::run::{Committed, Topic};
use tenure_core::steering::Steer;
use tenure_core::{
    Effect, Error, ErrorKind, Failure, Key, Payload, Result, Run, RunId, Steering, Timestamp,
    Transition, Usage, limits,
};

use super::create::Create;
use super::lane::{Job, Own};
use super::unavailable;
use crate::guard::Guard;
use crate::message::{CommitRequest, Hint, How, Node, Reply, Request};
use crate::oracle::{By, Decided};
use crate::script::Script;
use crate::world::World;

pub(super) struct Batch {
    pub(super) now: Timestamp,
    /// Whether the database is there at all.
    away: bool,
    decided: Vec<Decided>,
    /// What will be saved: one transition for each run, however many commands it had.
    whole: BTreeMap<RunId, Transition>,
    pub(super) keys: BTreeMap<String, RunId>,
    pub(super) given: BTreeMap<RunId, Arc<Script>>,
    pub(super) turns: BTreeMap<String, RunId>,
}

impl Batch {
    pub(super) fn new(world: &World, node: Node) -> Self {
        Self {
            now: world.store.clock(world.now),
            away: !world.reaches_database(node),
            decided: Vec::new(),
            whole: BTreeMap::new(),
            keys: BTreeMap::new(),
            given: BTreeMap::new(),
            turns: BTreeMap::new(),
        }
    }

    /// The answer to a command; none if its run is busy, which the next batch tries again.
    pub(super) fn decide(&mut self, world: &mut World, job: &Job) -> Option<Reply> {
        if self.away {
            return Some(Reply::Refused(unavailable()));
        }
        if world.dice.chance(world.plan.weather.busy) {
            return None;
        }
        let decided = match job {
            Job::Withdraw { run, lease } => {
                self.change(world, *run, By::Withdraw(*lease), |run, now| {
                    run.withdraw(*lease, now).map(Some)
                })
            }
            Job::Asked(_, request) => self.asked(world, request),
            Job::Own(_, own) => self.own(world, own),
        };
        Some(decided.map_or_else(Reply::Refused, Reply::Done))
    }

    fn asked(&mut self, world: &mut World, request: &Request) -> Result<Arc<Run>> {
        match request {
            Request::Create { key, script } => {
                self.create(world, &Create::asked(key.clone(), script.clone()))
            }
            Request::Signal { run, source, name, payload } => {
                let topic = Topic::Signal(name.clone());
                self.deliver(world, *run, source, topic, Ok(payload.clone()), None)
            }
            Request::Steer { run, how } => self.steer(world, *run, how),
            Request::Answer { run, interrupt, answer } => {
                self.resolve(world, *run, *interrupt, answer)
            }
            Request::Commit(commit) => self.commit_of(world, commit),
            _ => Err(Error::internal("that is no command")),
        }
    }

    /// What a message between runs causes.
    fn own(&mut self, world: &mut World, own: &Own) -> Result<Arc<Run>> {
        match own {
            Own::Call(create) => self.create(world, create),
            Own::End { run, key, result, usage } => {
                self.end_wait(world, *run, key, result.clone(), usage.clone())
            }
            Own::Cancel { run, by } => self.change(world, *run, By::System, |run, now| {
                run.cancel(by.clone(), now, limits::CANCEL_GRACE)
            }),
        }
    }

    /// Puts the end of a wait into the inbox of the run that waits.
    fn end_wait(
        &mut self,
        world: &World,
        run: RunId,
        key: &Key,
        result: Result<Payload, Failure>,
        usage: Option<Usage>,
    ) -> Result<Arc<Run>> {
        self.deliver(world, run, &format!("call:{key}"), Topic::Wait(key.clone()), result, usage)
    }

    fn deliver(
        &mut self,
        world: &World,
        run: RunId,
        source: &str,
        topic: Topic,
        result: Result<Payload, Failure>,
        usage: Option<Usage>,
    ) -> Result<Arc<Run>> {
        let known = self.has_received(world, run, source);
        self.change(world, run, By::Client, |run, now| {
            if known {
                return Ok(None);
            }
            run.deliver(source.to_owned(), topic, result, usage, now).map(Some)
        })
    }

    fn steer(&mut self, world: &World, run: RunId, how: &How) -> Result<Arc<Run>> {
        let by = Steering::default();
        let cause = match how {
            How::Do(steer) => By::Steer(*steer),
            How::Patch(..) => By::Steer(Steer::Patch),
            How::Prioritize(_) => By::Steer(Steer::Prioritize),
        };
        self.change(world, run, cause, |run, now| match how {
            How::Do(Steer::Cancel) => run.cancel(by, now, limits::CANCEL_GRACE),
            How::Do(Steer::Pause) => run.pause(by, now),
            How::Do(Steer::Resume) => run.resume(by, now).map(Some),
            How::Do(Steer::Retry) => run.retry(by, now),
            How::Patch(key, value) => {
                let status = tenure_core::EntryStatus::Succeeded(value.clone());
                run.patch(key.clone(), status, by, now).map(Some)
            }
            How::Prioritize(priority) => run.prioritize(*priority, by, now),
            How::Do(Steer::Patch | Steer::Prioritize) => {
                Err(Error::internal("that takes more than a word"))
            }
        })
    }

    fn commit_of(&mut self, world: &mut World, commit: &Arc<CommitRequest>) -> Result<Arc<Run>> {
        let without = world.plan.without;
        let mut repeated = false;
        let done = self.change(world, commit.run, By::Commit(commit.clone()), |run, now| {
            let (mut run, mut command) = (run.clone(), commit.command());
            if let Some(guard) = without {
                guard.doctor(&mut run, &mut command);
            }
            Ok(match run.commit(command, now, limits::LEASE_TTL)? {
                Committed::Applied(transition) => Some(*transition),
                Committed::Repeated => {
                    repeated = true;
                    None
                }
            })
        });
        let fenced = done.as_ref().is_err_and(|error| error.kind() == ErrorKind::LeaseLost);
        world.figures.recognised += u64::from(repeated);
        world.figures.fenced += u64::from(fenced);
        done
    }

    /// Decides one command; the run afterwards.
    pub(super) fn change(
        &mut self,
        world: &World,
        run: RunId,
        by: By,
        decide: impl FnOnce(&Run, Timestamp) -> Result<Option<Transition>>,
    ) -> Result<Arc<Run>> {
        let here = self.whole.get(&run).map(|whole| Arc::new(whole.run.clone()));
        let before = here.or_else(|| world.store.run(run).cloned());
        let before = before.ok_or_else(|| Error::not_found(format!("there is no run {run}")))?;
        match decide(&before, self.now)? {
            None => Ok(before),
            Some(transition) => Ok(self.keep(by, Some(before), transition)),
        }
    }

    pub(super) fn keep(
        &mut self,
        by: By,
        before: Option<Arc<Run>>,
        transition: Transition,
    ) -> Arc<Run> {
        let (id, after) = (transition.run.id, Arc::new(transition.run.clone()));
        self.decided.push(Decided { by, before, transition: transition.clone() });
        let whole = match self.whole.remove(&id) {
            Some(first) => first.then(transition),
            None => transition,
        };
        self.whole.insert(id, whole);
        after
    }

    /// Whether something from this source is in the inbox, or will be when this has committed.
    fn has_received(&self, world: &World, run: RunId, source: &str) -> bool {
        let is = |effect: &Effect| matches!(effect, Effect::Receive(item) if item.source == source);
        let there = world.store.inbox(run).iter().any(|item| item.source == source);
        !world.plan.lacks(Guard::Source) && (there || self.effects(run).any(is))
    }

    pub(super) fn effects(&self, run: RunId) -> impl Iterator<Item = &Effect> {
        self.whole.get(&run).into_iter().flat_map(|whole| &whole.effects)
    }

    /// Commits, unless nothing has changed.
    pub(super) fn commit(self, world: &mut World) -> Vec<Hint> {
        if self.whole.is_empty() {
            return Vec::new();
        }
        for (key, run) in self.keys {
            world.store.reserve(key, run);
        }
        for (run, script) in self.given {
            world.store.give(run, script);
        }
        for (key, run) in self.turns {
            world.store.set_turn(&key, Some(run));
        }
        world.commit(&self.decided, self.whole.into_values())
    }
}
