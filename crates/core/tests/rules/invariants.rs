//! Random command sequences against the invariants of `docs/architecture.md`, as far as they can be
//! stated on one run without a database.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::changes::assert_kept;
use crate::common::{
    DEADLINE, GRACE, OFFER, TTL, ann, apply, at, call, commit_of, created, fail, lease_id,
    question, record, worker,
};
use proptest::prelude::*;
use tenure_core::run::{Commit, Outcome, Topic, WaitReason};
use tenure_core::{
    Answer, Decision, Effect, Entry, EntryStatus, Failure, Interrupt, InterruptState, LeaseId,
    Message, Payload, Record, Run, RunState, Timestamp, Transition,
};

/// What may happen next. Leases, places and inbox counters are often the right ones and sometimes
/// those of the past.
#[derive(Clone, Debug)]
enum Op {
    Pass(u64),
    Lease,
    Beat { stale: bool },
    Commit { stale: bool, offset: i64, entries: Entries, end: Option<End> },
    Repeat,
    Cancel,
    Deliver,
    EndWait,
    Resolve { stale: bool, decision: Decision },
    TimeOut,
    Pause,
    Resume,
    Retry,
    Patch,
    Prioritize(i32),
    Withdraw,
    Expire,
}

/// What a commit records.
#[derive(Clone, Copy, Debug)]
enum Entries {
    Steps(usize),
    Question,
    Call,
}

#[derive(Clone, Debug)]
enum End {
    Succeed,
    Fail,
    MayMend,
    Retry,
    Suspend { behind: u64, sleep: Option<u64> },
    Block,
    Release,
    Cancelled,
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Succeed),
        Just(End::Fail),
        Just(End::MayMend),
        Just(End::Retry),
        (0..2u64, prop::option::of(0..30u64))
            .prop_map(|(behind, sleep)| End::Suspend { behind, sleep }),
        Just(End::Block),
        Just(End::Release),
        Just(End::Cancelled),
    ]
}

fn ops() -> impl Strategy<Value = Op> {
    let entries = prop_oneof![
        3 => (0..3usize).prop_map(Entries::Steps),
        1 => Just(Entries::Question),
        1 => Just(Entries::Call),
    ];
    let commit = (any::<bool>(), -1..2i64, entries, prop::option::weighted(0.3, ends()));
    let decision = prop_oneof![Just(Decision::Approve), Just(Decision::Reject)];
    prop_oneof![
        4 => (0..40u64).prop_map(Op::Pass),
        1 => (0..9_000u64).prop_map(Op::Pass),
        4 => Just(Op::Lease),
        2 => any::<bool>().prop_map(|stale| Op::Beat { stale }),
        8 => commit.prop_map(|(stale, offset, entries, end)| {
            // Mostly right, or nothing would ever get far.
            let offset = if stale { offset } else { 0 };
            Op::Commit { stale, offset, entries, end }
        }),
        2 => Just(Op::Repeat),
        1 => Just(Op::Cancel),
        2 => Just(Op::Deliver),
        1 => Just(Op::EndWait),
        2 => (any::<bool>(), decision)
            .prop_map(|(stale, decision)| Op::Resolve { stale, decision }),
        1 => Just(Op::TimeOut),
        1 => Just(Op::Pause),
        1 => Just(Op::Resume),
        1 => Just(Op::Retry),
        1 => Just(Op::Patch),
        1 => (-9..=9i32).prop_map(Op::Prioritize),
        1 => Just(Op::Withdraw),
        2 => Just(Op::Expire),
    ]
}

/// What a database would hold, kept by applying effects, and what the checks remember.
struct World {
    now: Timestamp,
    run: Run,
    journal: Vec<Entry>,
    queued: bool,
    inbox: u64,
    /// Leases that were ever given, by epoch.
    leases: BTreeMap<u64, LeaseId>,
    /// The last commit that was accepted.
    last: Option<Commit>,
    deliveries: usize,
    /// The interrupts as their rows would be, in the order in which they were opened.
    interrupts: Vec<Interrupt>,
    messages: Vec<Message>,
}

impl World {
    fn new() -> Self {
        let Transition { run, effects, .. } = created();
        let mut world = Self {
            now: at(0),
            run,
            journal: Vec::new(),
            queued: false,
            inbox: 0,
            leases: BTreeMap::new(),
            last: None,
            deliveries: 0,
            interrupts: Vec::new(),
            messages: Vec::new(),
        };
        world.cause(effects);
        world
    }

    fn cause(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Append(entry) => self.journal.push(entry),
                Effect::Enqueue { .. } => {
                    assert!(!self.queued, "enqueued twice");
                    self.queued = true;
                }
                Effect::Dequeue => {
                    assert!(self.queued, "dequeued what was not queued");
                    self.queued = false;
                }
                Effect::Receive(item) => {
                    self.inbox += 1;
                    assert_eq!(item.number, self.inbox);
                }
                Effect::OpenInterrupt(interrupt) => self.interrupts.push(*interrupt),
                Effect::EndInterrupt { id, state } => {
                    let mut open = self.interrupts.iter_mut().filter(|known| known.id == id);
                    let interrupt = open.next().unwrap();
                    assert_eq!(interrupt.state, InterruptState::Open, "ANSWERED-ONCE");
                    interrupt.state = state;
                }
                Effect::CloseInterrupts { at } => {
                    for interrupt in &mut self.interrupts {
                        if interrupt.state == InterruptState::Open {
                            interrupt.state = InterruptState::Closed { at };
                        }
                    }
                }
                Effect::Post { number, message } => {
                    self.messages.push(message);
                    assert_eq!(number, self.messages.len() as u64, "messages are numbered 1..n");
                }
                Effect::Open { .. } | Effect::WakeOwner(_) | Effect::WakeWatchers => {}
            }
        }
    }

    /// Applies what a command decided and checks what must hold across the change.
    fn step(&mut self, transition: Transition) {
        let before = std::mem::replace(&mut self.run, transition.run);
        // FINAL
        assert!(!before.state.is_terminal(), "a terminal run changed: {before:?}");
        assert_eq!(transition.before, Some(before.revision));
        assert!(self.run.revision > before.revision);
        assert!(self.run.epoch >= before.epoch, "the epoch fell");
        let owner = |run: &Run| run.lease_held().map(|lease| lease.id);
        if owner(&before) != owner(&self.run) {
            assert!(self.run.epoch > before.epoch, "the owner changed and the epoch did not");
        }
        assert_kept(&before, transition.change, &self.run);
        for effect in &transition.effects {
            self.check_writer(&before, effect);
        }
        self.cause(transition.effects);
        if let Some(lease) = self.run.lease_held() {
            // ONE-WRITER: no two leases share an epoch.
            let known = self.leases.insert(lease.epoch, lease.id);
            assert!(known.is_none_or(|known| known == lease.id), "two leases of one epoch");
        }
        self.check();
    }

    fn check(&self) {
        // NO-GAP
        let seqs: Vec<u64> = self.journal.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, (1..self.run.next_seq).collect::<Vec<_>>());
        // ONE-WRITER
        assert!(self.journal.is_sorted_by_key(|entry| entry.epoch), "the epoch fell along seq");
        // a queue row exactly while queued or asleep
        assert_eq!(self.queued, self.run.ready_at().is_some());
        assert_eq!(self.inbox, self.run.inbox);
        let owned = self.run.lease_held().is_some();
        assert!(owned || self.run.request.is_none(), "a wish that nobody is left to answer");
        let open = self.interrupts.iter().filter(|known| known.state == InterruptState::Open);
        assert_eq!(open.count(), self.run.interrupts as usize, "open questions are counted");
        self.check_end();
    }

    /// What people do is written only where nobody owns the run, before or after.
    fn check_writer(&self, before: &Run, effect: &Effect) {
        if let Effect::Append(Entry { record, .. }) = effect
            && matches!(record.status, EntryStatus::Steered(_))
        {
            let owned = |run: &Run| run.lease_held().is_some();
            assert!(!(owned(before) && owned(&self.run)), "written beside an owner: {record:?}");
        }
    }

    /// What a run causes elsewhere by its end, each once, and not before.
    fn check_end(&self) {
        let count = |what: fn(&Message) -> bool| self.messages.iter().filter(|m| what(m)).count();
        let calls = count(|message| matches!(message, Message::Call { .. }));
        let ended = usize::from(self.run.state.is_terminal());
        assert_eq!(count(|message| matches!(message, Message::Ended { .. })), ended);
        assert_eq!(count(|message| matches!(message, Message::FreeTurn { .. })), ended);
        let end_children = count(|message| matches!(message, Message::EndChildren { .. }));
        assert_eq!(end_children, ended * usize::from(calls > 0));
        if ended == 1 {
            assert_eq!(self.run.interrupts, 0, "a run that has ended asks nothing");
        }
    }

    fn lease(&self, stale: bool) -> LeaseId {
        let current = self.run.lease_held().map(|lease| lease.id);
        let old = self.leases.values().next().copied();
        let chosen = if stale { old } else { current };
        chosen.or(old).unwrap_or(lease_id(0))
    }

    fn run(&mut self, op: &Op, number: usize) {
        match op {
            Op::Pass(seconds) => self.now = self.now + Duration::from_secs(*seconds),
            Op::Lease => {
                let id = lease_id(1_000 + number as u128);
                if let Ok(done) = self.run.lease(id, worker(), self.now, OFFER) {
                    self.step(done);
                }
            }
            Op::Beat { stale } => {
                let id = self.lease(*stale);
                let done = self.run.beat(id, self.now, TTL);
                assert_eq!(done.is_ok(), self.run.lease_held().is_some_and(|held| held.id == id));
                done.map(|done| self.step(done)).unwrap_or_default();
            }
            Op::Commit { stale, offset, entries, end } => {
                self.commit(*stale, *offset, *entries, end.as_ref(), number);
            }
            Op::Repeat => {
                // FIRST-WINS: the same write again changes nothing, whatever happened since the
                // answer was lost; once somebody else has written it is refused, not applied.
                if let Some(last) = self.last.clone() {
                    match apply(&self.run, last, self.now) {
                        Ok(answer) => assert_eq!(answer, None),
                        Err(error) => panic!("the last commit was not recognised: {error}"),
                    }
                }
            }
            Op::Cancel => {
                if let Some(done) = self.run.cancel(ann(), self.now, GRACE).unwrap() {
                    let was_running = self.run.lease_held().is_some();
                    self.step(done);
                    assert_eq!(self.run.state.is_terminal(), !was_running);
                }
            }
            Op::Deliver => {
                self.deliveries += 1;
                let source = format!("source {}", self.deliveries);
                self.deliver(source, Topic::Signal("go".parse().unwrap()));
            }
            Op::EndWait => {
                self.deliveries += 1;
                let source = format!("call {}", self.deliveries);
                self.deliver(source, Topic::Wait("child:other".parse().unwrap()));
            }
            Op::Resolve { stale, decision } => self.resolve(*stale, *decision),
            Op::TimeOut => self.time_out(),
            Op::Pause => self.pause(),
            Op::Resume => {
                if let Ok(done) = self.run.resume(ann(), self.now) {
                    self.step(done);
                    assert!(!self.run.pause_asked());
                }
            }
            Op::Patch => self.patch(),
            Op::Prioritize(priority) => {
                if let Ok(Some(done)) = self.run.prioritize(*priority, ann(), self.now) {
                    self.step(done);
                    assert_eq!(self.run.priority, *priority);
                }
            }
            Op::Retry => {
                if let Ok(Some(done)) = self.run.retry(ann(), self.now) {
                    self.step(done);
                }
            }
            Op::Withdraw => {
                let id = self.lease(false);
                if let Ok(done) = self.run.withdraw(id, self.now) {
                    self.step(done);
                }
            }
            Op::Expire => {
                let forced = self.run.cancel_asked().is_some_and(|(_, at)| at <= self.now);
                let late = !self.run.state.is_terminal() && at(0) + DEADLINE <= self.now;
                let due = self.run.lease_held().is_some_and(|lease| lease.expired(self.now))
                    || forced
                    || late;
                let done = self.run.expire(self.now);
                assert_eq!(done.is_some(), due);
                done.map(|done| self.step(done)).unwrap_or_default();
            }
        }
    }

    fn time_out(&mut self) {
        let due = |known: &&Interrupt| known.due_at.is_some_and(|due| due <= self.now);
        let mut open = self.interrupts.iter().filter(|known| known.state == InterruptState::Open);
        let Some(interrupt) = open.clone().find(due).or(open.next_back()).cloned() else { return };
        let late = due(&&interrupt);
        let done = self.run.time_out(&interrupt, None, self.now).unwrap();
        assert_eq!(done.is_some(), late, "a deadline is kept to the moment");
        done.map(|done| self.step(done)).unwrap_or_default();
    }

    fn pause(&mut self) {
        if let Ok(Some(done)) = self.run.pause(ann(), self.now) {
            self.step(done);
            let paused = |reason: &WaitReason| matches!(reason, WaitReason::Paused(_));
            let rests = matches!(&self.run.state, RunState::Waiting { reason } if paused(reason));
            assert!(rests || self.run.pause_asked());
        }
    }

    fn patch(&mut self) {
        let status = EntryStatus::Succeeded(Payload::json("1"));
        let done = self.run.patch("plan".parse().unwrap(), status, ann(), self.now);
        let blocked =
            matches!(self.run.state, RunState::Waiting { reason: WaitReason::Blocked(_) });
        assert_eq!(done.is_ok(), blocked);
        done.map(|done| self.step(done)).unwrap_or_default();
    }

    fn deliver(&mut self, source: String, topic: Topic) {
        match self.run.deliver(source, topic, Ok(Payload::default()), None, self.now) {
            Ok(done) => {
                self.step(done);
                // NO-LOST-WAKE
                let waits = matches!(
                    self.run.state,
                    RunState::Waiting { reason: WaitReason::Inbox { .. } }
                );
                assert!(!waits, "it sleeps on what has arrived");
            }
            Err(_) => assert!(self.run.state.is_terminal()),
        }
    }

    /// ANSWERED-ONCE: of two answers the first counts, and the same again changes nothing.
    fn resolve(&mut self, stale: bool, decision: Decision) {
        let chosen = if stale { self.interrupts.first() } else { self.interrupts.last() };
        let Some(interrupt) = chosen.cloned() else { return };
        let answer = Answer {
            decision,
            value: Payload::default(),
            reason: String::new(),
            actor: "ann".into(),
        };
        match self.run.resolve(&interrupt, answer, Payload::json("1"), self.now) {
            Ok(Some(done)) => {
                assert_eq!(interrupt.state, InterruptState::Open);
                self.step(done);
            }
            Ok(None) => {
                let InterruptState::Answered { answer, .. } = interrupt.state else { panic!() };
                assert_eq!(answer.decision, decision, "another answer was taken for the first");
            }
            Err(_) => assert_ne!(interrupt.state, InterruptState::Open),
        }
    }

    fn commit(&mut self, stale: bool, offset: i64, entries: Entries, end: Option<&End>, op: usize) {
        let lease = self.lease(stale);
        let expected = self.run.next_seq.saturating_add_signed(offset);
        let outcome = end.map(|end| match end {
            End::Succeed => Outcome::Succeed(Payload::default()),
            End::Fail => fail(None),
            End::MayMend => Outcome::Fail {
                failure: Failure::retryable("http_503", "it is down"),
                retry_after: None,
                again: vec!["op/0".parse().unwrap()],
            },
            End::Retry => fail(Some(Duration::from_secs(1))),
            End::Suspend { behind, sleep } => Outcome::Suspend {
                inbox: self.run.inbox.saturating_sub(*behind),
                wake_after: sleep.map(Duration::from_secs),
                on: Vec::new(),
            },
            End::Block => Outcome::Block(Failure::permanent("mismatch", "it changed")),
            End::Release => Outcome::Release,
            End::Cancelled => Outcome::Cancelled,
        });
        let key = |entry| format!("op{op}/{entry}");
        let records: Vec<Record> = match entries {
            Entries::Steps(count) => (0..count).map(|entry| record(&key(entry))).collect(),
            Entries::Question => vec![Record { key: key(0).parse().unwrap(), ..question() }],
            Entries::Call => vec![call(&key(0))],
        };
        let commit = commit_of(lease, expected, records, outcome);
        let inbox = self.run.inbox;
        match apply(&self.run, commit.clone(), self.now) {
            Ok(Some(done)) => {
                let held = self.run.lease_held().map(|held| held.id);
                assert_eq!(held, Some(lease), "written under a lease that is not the current one");
                assert_eq!(expected, self.run.next_seq, "written at another place");
                if let Some(Outcome::Suspend { inbox: seen, .. }) = commit.outcome {
                    assert!(
                        done.run.state.is_terminal() || seen == inbox,
                        "parked although the inbox had moved"
                    );
                }
                self.step(done);
                self.last = Some(commit);
            }
            Ok(None) => assert_eq!(self.last.as_ref(), Some(&commit), "answered as another one"),
            Err(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_invariant_holds_after_every_command(ops in prop::collection::vec(ops(), 1..60)) {
        let mut world = World::new();
        for (number, op) in ops.iter().enumerate() {
            world.run(op, number);
        }
        // Patches and retries write under keys that may be there before.
        let own = |entry: &&Entry| entry.record.key.as_str().starts_with("op") && entry.record.key.as_str() != "op/0";
        let keys: HashSet<_> = world.journal.iter().filter(own).map(|entry| &entry.record.key).collect();
        prop_assert_eq!(keys.len(), world.journal.iter().filter(own).count(), "a key is in the journal twice");
    }
}

/// A run that kills each of its workers ends visibly, and so does one whose offers vanish.
#[test]
fn a_run_that_loses_every_worker_is_exhausted() {
    for started in [true, false] {
        let mut world = World::new();
        for number in 0..1_000 {
            world.run(&Op::Pass(400), number);
            world.run(&Op::Lease, number);
            if started {
                world.run(&Op::Beat { stale: false }, number);
            }
            world.run(&Op::Pass(400), number);
            world.run(&Op::Expire, number);
        }
        let RunState::Failed { failure, .. } = &world.run.state else { panic!("{:?}", world.run) };
        assert_eq!(failure.code, "exhausted");
        assert_eq!(world.run.attempts > 0, started);
    }
}

/// A conversation of many messages parks and wakes again and again. None of that is an attempt.
#[test]
fn a_run_that_parks_often_has_all_its_attempts_left() {
    let mut world = World::new();
    for number in 0..200 {
        world.run(&Op::Lease, number);
        world.run(&Op::Beat { stale: false }, number);
        let end = Some(if number % 2 == 0 {
            End::Suspend { behind: 0, sleep: None }
        } else {
            End::Release
        });
        world.run(&Op::Commit { stale: false, offset: 0, entries: Entries::Steps(0), end }, number);
        world.run(&Op::Deliver, number);
    }
    assert_eq!((world.run.epoch, world.run.attempts), (500, 0));
    world.run(&Op::Lease, 200);
    world.run(&Op::Beat { stale: false }, 200);
    world.run(&Op::Pass(31), 200);
    world.run(&Op::Expire, 200);
    assert!(matches!(world.run.state, RunState::Queued { .. }), "{:?}", world.run.state);
    assert_eq!(world.run.attempts, 1);
}
