//! What a worker knows about a run that it holds, or thinks that it holds.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::Outcome;
use tenure_core::{Entry, EntryStatus, Failure, Key, LeaseId, Record, Run, Timestamp, limits};

use crate::code::{Code, FiberId, Work};
use crate::guard::Guard;
use crate::message::{Address, CommitRequest, Held, Offered};
use crate::script::Script;
use crate::world::World;

/// A run in one worker, under one lease.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, in any combination")]
pub(super) struct Leased {
    pub(super) me: Address,
    rate: u32,
    /// The row as it was leased.
    pub(super) run: Arc<Run>,
    pub(super) lease: LeaseId,
    pub(super) script: Arc<Script>,
    history: Vec<Entry>,
    /// Its code, once the journal has been read whole.
    pub(super) code: Option<Code>,
    /// Steps that are to be executed and have not begun.
    pub(super) ready: VecDeque<Ready>,
    pub(super) executing: BTreeMap<FiberId, Executing>,
    pub(super) sleeping: BTreeMap<FiberId, Sleeping>,
    /// Records that wait for a commit, in the order in which their work ended.
    pub(super) records: VecDeque<(FiberId, Record)>,
    /// The commit that has no answer yet.
    pub(super) flight: Option<Flight>,
    pub(super) next_seq: u64,
    /// How the lease is going to end. The code does nothing any more, unless that is refused.
    pub(super) outcome: Option<Outcome>,
    /// How many items the inbox has, as far as it has been heard.
    pub(super) inbox: u64,
    pub(super) reading: bool,
    pub(super) cancel: bool,
    /// The run is to rest; that may be taken back.
    pub(super) pause: bool,
    pub(super) abandoned: bool,
    /// Grows with everything that happens; a run is parked when it has been quiet.
    pub(super) changes: u64,
    term: Term,
    received_at: Duration,
}

/// How long the lease lasts, by the worker's clock.
struct Term {
    /// When the last acknowledged heartbeat was sent.
    beaten: Duration,
    /// How long the lease lasts from then.
    granted: Duration,
    /// Whether the deadline was past when the last heartbeat ended.
    was_past: bool,
}

impl Term {
    /// Most of the time has passed: one sixth is left for what is under way.
    fn is_past(&self, now: Duration) -> bool {
        now.saturating_sub(self.beaten) > self.granted * 5 / 6
    }
}

pub(super) struct Ready {
    pub(super) fiber: FiberId,
    pub(super) key: Key,
    pub(super) takes: Duration,
    pub(super) work: Work,
}

impl Ready {
    /// Whether it is on record that it starts.
    pub(super) fn has_started(&self) -> bool {
        self.work == Work::Once { started: true }
    }
}

#[derive(Debug)]
pub(super) enum Executing {
    /// A step, which will end so.
    Step(EntryStatus),
    /// It is being found out whether this step has happened.
    FindOut(Key),
}

pub(super) struct Sleeping {
    pub(super) key: Key,
    pub(super) length: Duration,
    /// When it is over, by the worker's clock.
    pub(super) due: Duration,
}

pub(super) struct Flight {
    pub(super) request: Arc<CommitRequest>,
    pub(super) fibers: Vec<FiberId>,
}

/// What a clock of this rate shows.
pub(super) fn local(now: Duration, rate: u32) -> Duration {
    now * rate / 1_000
}

impl Leased {
    /// What was offered, if it is leased as it should be.
    pub(super) fn new(me: Address, rate: u32, offered: Offered, now: Duration) -> Option<Self> {
        let Offered { run, script, entries, .. } = offered;
        let (lease, now) = (run.lease_held()?.id, local(now, rate));
        Some(Self {
            me,
            rate,
            lease,
            script,
            history: entries,
            code: None,
            ready: VecDeque::new(),
            executing: BTreeMap::new(),
            sleeping: BTreeMap::new(),
            records: VecDeque::new(),
            flight: None,
            next_seq: run.next_seq,
            outcome: None,
            inbox: run.inbox,
            reading: false,
            cancel: false,
            pause: false,
            abandoned: false,
            changes: 0,
            term: Term { beaten: now, granted: limits::OFFER_TTL, was_past: false },
            received_at: now,
            run,
        })
    }

    pub(super) fn history_len(&self) -> u64 {
        self.history.len() as u64
    }

    pub(super) fn more_history(&mut self, entries: Vec<Entry>) {
        // Of a page that was asked for twice the second one brings nothing new.
        let next = self.history_len();
        self.history.extend(entries.into_iter().filter(|entry| entry.seq > next));
    }

    /// Starts the code; false if the journal was not read whole.
    pub(super) fn begin(&mut self, world: &mut World, able: bool) -> bool {
        let history = mem::take(&mut self.history);
        if history.len() as u64 + 1 != self.run.next_seq {
            return false;
        }
        if !able {
            let message = "no worker of the run's pool has its code";
            self.outcome = Some(Outcome::Block(Failure::permanent("no_code", message)));
        }
        match Code::new(&self.script, history) {
            Ok(code) => self.code = Some(code),
            Err(error) => world.oracle.stuck(self.run.id, &error),
        }
        true
    }

    /// What a heartbeat says about it.
    pub(super) fn held(&self) -> Held {
        let Self { lease, inbox, cancel, pause, .. } = *self;
        Held { run: self.run.id, lease, inbox, cancel, pause }
    }

    /// News.
    pub(super) fn hear(&mut self, inbox: u64, cancel: bool) {
        self.inbox = self.inbox.max(inbox);
        self.cancel |= cancel;
    }

    pub(super) fn keep_alive(&mut self, sent: Duration, ttl: Duration) {
        self.term.beaten = self.term.beaten.max(sent);
        self.term.granted = ttl;
    }

    /// Whether it was not kept alive for so long that it may be lost: nothing begins then.
    pub(super) fn is_stale(&self, world: &World) -> bool {
        match world.plan.without {
            Some(Guard::Deadline) => false,
            Some(Guard::Promptness) => self.term.was_past,
            _ => self.term.is_past(self.clock(world)),
        }
    }

    /// A heartbeat has ended, well or not.
    pub(super) fn beat_ended(&mut self, world: &World) {
        self.term.was_past = self.term.is_past(self.clock(world));
    }

    /// The worker goes away and does not wait for what is being executed.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
    }

    /// How old an entry is: by the database's clock when the run was leased, and by the worker's
    /// since then.
    pub(super) fn age(&self, at: Timestamp, world: &World) -> Duration {
        let leased_at = self.run.updated_at;
        leased_at.since(at) + self.clock(world).saturating_sub(self.received_at)
    }

    pub(super) fn clock(&self, world: &World) -> Duration {
        local(world.now, self.rate)
    }

    /// How long it takes until the worker's clock has moved by this much.
    pub(super) fn real(&self, length: Duration) -> Duration {
        // One microsecond more, or rounding makes it end before its time.
        length * 1_000 / self.rate + Duration::from_micros(1)
    }

    /// How much is left of the sleep that ends first.
    pub(super) fn next_alarm(&self, world: &World) -> Option<Duration> {
        let due = self.sleeping.values().map(|sleeping| sleeping.due).min()?;
        Some(due.saturating_sub(self.clock(world)))
    }
}
