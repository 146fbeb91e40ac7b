//! The lane: what arrives while one transaction commits is done by the next one, in order, each
//! command on the run as the commands before it left it. Find and lock, decide, save, commit, reply.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use tenure_core::run::{self, Committed, NewRun, RetryPolicy, Topic};
use tenure_core::{
    AgentId, Effect, Error, LeaseId, Payload, Result, Run, RunId, Steering, TenantId, Timestamp,
    Transition, limits,
};
use uuid::Uuid;

use super::{Alarm, ControlPlane, latency, unavailable};
use crate::guard::Guard;
use crate::message::{Caller, CommitRequest, Hint, Reply, Request};
use crate::oracle::{By, Decided};
use crate::script::Script;
use crate::world::World;

/// A command that waits for its transaction.
pub(super) enum Job {
    Asked(Caller, Request),
    /// An offer did not reach anybody.
    Withdraw {
        run: RunId,
        lease: LeaseId,
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
            match (batch.decide(world, &job), job) {
                (Some(reply), Job::Asked(caller, _)) => replies.push((caller, reply)),
                (Some(_), Job::Withdraw { .. }) => {}
                (None, busy) => self.lane.push(busy),
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
        let gap = world.dice.millis(0, 3);
        world.alarm(self.me, gap, Alarm::Say(replies));
        self.settling = false;
        self.begin_settle(world);
    }
}

/// The decisions of one transaction.
struct Batch {
    now: Timestamp,
    /// Whether the database is there at all.
    away: bool,
    decided: Vec<Decided>,
    /// What will be saved: one transition for each run, however many commands it had.
    whole: BTreeMap<RunId, Transition>,
    keys: BTreeMap<String, (RunId, Arc<Script>)>,
}

impl Batch {
    fn new(world: &World, node: crate::message::Node) -> Self {
        let (now, away) = (world.store.clock(world.now), !world.reaches_database(node));
        let (whole, keys) = (BTreeMap::new(), BTreeMap::new());
        Self { now, away, decided: Vec::new(), whole, keys }
    }

    /// The answer to a command; none if its run is busy, which the next batch tries again.
    fn decide(&mut self, world: &mut World, job: &Job) -> Option<Reply> {
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
        };
        Some(decided.map_or_else(Reply::Refused, Reply::Done))
    }

    fn asked(&mut self, world: &mut World, request: &Request) -> Result<Arc<Run>> {
        match request {
            Request::Create { key, script } => self.create(world, key, script),
            Request::Signal { run, source, name, payload } => {
                let known = self.has_received(world, *run, source);
                self.change(world, *run, By::Client, |run, now| {
                    let (source, topic) = (source.clone(), Topic::Signal(name.clone()));
                    let deliver = || run.deliver(source, topic, Ok(payload.clone()), now);
                    if known { Ok(None) } else { deliver().map(Some) }
                })
            }
            Request::Cancel { run } => self.change(world, *run, By::Client, |run, now| {
                run.cancel(Steering::default(), now, limits::CANCEL_GRACE)
            }),
            Request::Retry { run } => {
                self.change(world, *run, By::Client, |run, now| run.retry(Steering::default(), now))
            }
            Request::Commit(commit) => self.commit_of(world, commit),
            _ => Err(Error::internal("that is no command")),
        }
    }

    fn create(&mut self, world: &mut World, key: &str, script: &Arc<Script>) -> Result<Arc<Run>> {
        let here = self.keys.get(key).map(|(run, _)| *run);
        let first = here.or_else(|| world.store.key(key));
        if let Some(first) = first.filter(|_| !world.plan.lacks(Guard::Key)) {
            return self.change(world, first, By::Client, |_, _| Ok(None));
        }
        let created = Run::create(new_run(RunId::new(world.new_id())), true, self.now)?;
        self.keys.insert(key.to_owned(), (created.run.id, script.clone()));
        Ok(self.keep(By::Create(key.to_owned()), None, created))
    }

    fn commit_of(&mut self, world: &mut World, commit: &Arc<CommitRequest>) -> Result<Arc<Run>> {
        let without = world.plan.without;
        let mut repeated = false;
        let done = self.change(world, commit.run, By::Commit(commit.clone()), |run, now| {
            let (mut run, mut command) = (run.clone(), command(commit));
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
        world.figures.recognised += u64::from(repeated);
        world.figures.fenced += u64::from(
            done.as_ref().is_err_and(|error| error.kind() == tenure_core::ErrorKind::LeaseLost),
        );
        done
    }

    /// Decides one command; the run afterwards.
    fn change(
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

    fn keep(&mut self, by: By, before: Option<Arc<Run>>, transition: Transition) -> Arc<Run> {
        let (id, after) = (transition.run.id, Arc::new(transition.run.clone()));
        self.decided.push(Decided { by, before, transition: transition.clone() });
        let whole = match self.whole.remove(&id) {
            Some(first) => first.then(transition),
            None => transition,
        };
        self.whole.insert(id, whole);
        after
    }

    /// Whether a signal from this source is in the inbox, or will be when this has committed.
    fn has_received(&self, world: &World, run: RunId, source: &str) -> bool {
        let whole = self.whole.get(&run).map(|whole| &whole.effects);
        let mut here = whole.into_iter().flatten();
        let is = |effect: &Effect| matches!(effect, Effect::Receive(item) if item.source == source);
        let there = world.store.inbox(run).iter().any(|item| item.source == source);
        !world.plan.lacks(Guard::Source) && (there || here.any(is))
    }

    fn commit(self, world: &mut World) -> Vec<Hint> {
        for (key, (run, script)) in self.keys {
            world.store.reserve(key, run, script);
        }
        world.commit(&self.decided, self.whole.into_values())
    }
}

fn command(commit: &CommitRequest) -> run::Commit {
    let CommitRequest { lease, expected_seq, records, outcome, .. } = commit;
    run::Commit {
        lease: *lease,
        expected_seq: *expected_seq,
        records: records.clone(),
        outcome: outcome.clone(),
        digest: commit.digest(),
    }
}

fn new_run(id: RunId) -> NewRun {
    NewRun {
        id,
        tenant: TenantId::new(Uuid::nil()),
        agent: AgentId::new(Uuid::nil()),
        version: 1,
        pool: "default".parse().expect("a name"),
        input: Payload::default(),
        labels: BTreeMap::new(),
        start_after: std::time::Duration::ZERO,
        max_attempts: None,
        retry: RetryPolicy::default(),
        priority: 0,
        timeout: None,
        concurrency: None,
        parent: None,
        depth: 0,
        entries: 0,
        check: None,
    }
}
