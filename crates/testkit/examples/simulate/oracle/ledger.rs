//! The ledger of one run: what was committed, by whom, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::{InboxItem, Outcome, Topic, WaitReason};
use tenure_core::{
    Effect, Entry, EntryKind, EntryStatus, Key, LeaseId, Record, Run, RunState, Timestamp, limits,
};

use super::effects::Execution;
use super::{
    Broken, By, DB_TIME, Decided, FINAL, FIRST_WINS, Moment, NO_GAP, NO_LOST_WAKE, ONE_WRITER,
    SIGNALS, must,
};
use crate::message::value;

/// What the oracle knows about a run.
pub(super) struct Ledger {
    pub(super) row: Arc<Run>,
    pub(super) entries: Vec<Entry>,
    /// When each was committed, and how far the database's clock had been set forward by then.
    times: Vec<(Duration, Duration)>,
    pub(super) inbox: Vec<InboxItem>,
    pub(super) executions: BTreeMap<Key, Vec<Execution>>,
    pub(super) owner: Option<Owner>,
    leases: BTreeSet<LeaseId>,
    epoch: u64,
    /// Leases that are over, and whether their worker could know that without being told.
    pub(super) late: BTreeMap<LeaseId, bool>,
    /// Leases that were taken away because their time was up.
    pub(super) takeovers: u64,
}

/// Who may write.
pub(super) struct Owner {
    pub(super) lease: LeaseId,
    epoch: u64,
    /// Before this moment nobody may take over.
    until: Timestamp,
    /// Whether a heartbeat was acknowledged, so that the worker knows how long it may go on.
    pub(super) acknowledged: bool,
    /// Whether something else than time can have shortened the lease without the worker's knowing:
    /// the clock was set.
    pub(super) doubtful: bool,
}

impl Ledger {
    pub(super) fn new(row: Arc<Run>) -> Self {
        Self {
            row,
            entries: Vec::new(),
            times: Vec::new(),
            inbox: Vec::new(),
            executions: BTreeMap::new(),
            owner: None,
            leases: BTreeSet::new(),
            epoch: 0,
            late: BTreeMap::new(),
            takeovers: 0,
        }
    }

    pub(super) fn owner(&self) -> Option<LeaseId> {
        self.owner.as_ref().map(|owner| owner.lease)
    }

    pub(super) fn doubt(&mut self) {
        self.owner.iter_mut().for_each(|owner| owner.doubtful = true);
    }

    /// How much time has passed since an entry was committed, at most, by the database's clock.
    pub(super) fn passed(&self, now: Duration, forward: Duration, key: &Key) -> Option<Duration> {
        let place = self.entries.iter().position(|entry| entry.record.key == *key)?;
        let (at, ahead) = self.times[place];
        Some(now.saturating_sub(at) + forward.saturating_sub(ahead))
    }

    /// Looks at a change that is being committed, and notes it.
    pub(super) fn saved(
        &mut self,
        at: Moment,
        forward: Duration,
        decided: &Decided,
    ) -> Result<(), Broken> {
        let run = &decided.transition.run;
        must(!self.row.state.is_terminal(), FINAL, || {
            format!("it had ended as {} and became {}", self.row.state.name(), run.state.name())
        })?;
        self.check_right(at, decided)?;
        for effect in &decided.transition.effects {
            match effect {
                Effect::Append(entry) => {
                    self.check_entry(entry, decided)?;
                    self.entries.push(entry.clone());
                    self.times.push((at.now, forward));
                }
                Effect::Receive(item) => self.receive(item)?,
                Effect::Open { .. }
                | Effect::OpenInterrupt(_)
                | Effect::EndInterrupt { .. }
                | Effect::CloseInterrupts { .. }
                | Effect::Post { .. }
                | Effect::Enqueue { .. }
                | Effect::Dequeue
                | Effect::WakeOwner(_)
                | Effect::WakeWatchers => {}
            }
        }
        self.check_rest(decided)?;
        self.note_owner(at, decided)?;
        self.row = Arc::new(run.clone());
        Ok(())
    }

    /// Whether who causes it may do so now.
    fn check_right(&self, at: Moment, decided: &Decided) -> Result<(), Broken> {
        let (now, row) = (at.database, &self.row);
        let owns = |lease: LeaseId| {
            must(self.owner() == Some(lease), ONE_WRITER, || {
                let (lease, owner) = (number(lease), self.owner().map(number));
                format!("lease {lease} wrote while the current lease was {owner:?}")
            })
        };
        match &decided.by {
            By::Commit(commit) => owns(commit.lease),
            By::Beat(lease) | By::Withdraw(lease) => owns(*lease),
            By::Claim => {
                must(row.ready_at().is_some_and(|ready_at| ready_at <= now), DB_TIME, || {
                    let (state, ready_at) = (row.state.name(), row.ready_at());
                    format!("it was leased at {now} while it was {state}, ready at {ready_at:?}")
                })
            }
            By::Sweep => {
                let up = self.owner.as_ref().is_some_and(|owner| owner.until < now);
                let forced = row.cancel_asked().is_some_and(|(_, force_at)| force_at <= now);
                must(up || forced, DB_TIME, || {
                    format!("its lease was taken away at {now}, before its time was up")
                })
            }
            By::Create(_) | By::Client => Ok(()),
        }
    }

    fn check_entry(&self, entry: &Entry, decided: &Decided) -> Result<(), Broken> {
        let (seq, key) = (entry.seq, &entry.record.key);
        must(seq == self.entries.len() as u64 + 1, NO_GAP, || {
            format!("entry {seq} follows {} entries", self.entries.len())
        })?;
        must(self.entries.iter().all(|old| old.record.key != *key), FIRST_WINS, || {
            format!("`{key}` was recorded twice")
        })?;
        if key.is_reserved() {
            let state = decided.transition.run.state.name();
            let owned = decided.transition.run.lease_held().is_some();
            return must(!owned, ONE_WRITER, || format!("`{key}` was written while {state}"));
        }
        let (Some(owner), By::Commit(commit)) = (&self.owner, &decided.by) else {
            let what = format!("entry {seq} was not written by a worker");
            return Err(Broken(ONE_WRITER, what));
        };
        must(entry.epoch == owner.epoch, ONE_WRITER, || {
            format!("entry {seq} has epoch {}, its lease has {}", entry.epoch, owner.epoch)
        })?;
        must(seq >= commit.expected_seq, FIRST_WINS, || {
            format!("entry {seq} was written for a later place")
        })?;
        match entry.record.kind {
            EntryKind::Wait => self.check_signal(&entry.record),
            _ => self.check_produced(&entry.record, owner.lease),
        }
    }

    /// The first wait for a name takes the first signal of that name, the second the second.
    fn check_signal(&self, record: &Record) -> Result<(), Broken> {
        let Some(name) = signal(&record.key) else { return Ok(()) };
        let taken = |entry: &&Entry| signal(&entry.record.key) == Some(name);
        let taken = self.entries.iter().filter(taken).count();
        let mut sent = self.inbox.iter().filter(|item| signal_of(item) == Some(name));
        let brought = sent.nth(taken).map(|item| &item.result);
        let expected = brought.and_then(|result| result.clone().ok()).map(EntryStatus::Succeeded);
        must(expected.as_ref() == Some(&record.status), SIGNALS, || {
            format!("`{}` took another signal than number {} of its name", record.key, taken + 1)
        })
    }

    fn receive(&mut self, item: &InboxItem) -> Result<(), Broken> {
        let (number, source) = (item.number, &item.source);
        let twice = self.inbox.iter().any(|old| old.source == *source);
        must(!twice, SIGNALS, || format!("signal `{source}` was delivered twice"))?;
        must(number == self.inbox.len() as u64 + 1, SIGNALS, || {
            format!("item {number} of the inbox follows {} items", self.inbox.len())
        })?;
        self.inbox.push(item.clone());
        Ok(())
    }

    /// Whether it may rest as it does now.
    fn check_rest(&self, decided: &Decided) -> Result<(), Broken> {
        let state = &decided.transition.run.state;
        let rests = matches!(state, RunState::Queued { .. } | RunState::Waiting { .. });
        must(!(rests && self.row.cancel_asked().is_some()), FINAL, || {
            format!("it was asked to be cancelled and is {}", state.name())
        })?;
        let (RunState::Waiting { reason: WaitReason::Inbox { .. } }, By::Commit(commit)) =
            (state, &decided.by)
        else {
            return Ok(());
        };
        let arrived = self.inbox.len() as u64;
        let Some(Outcome::Suspend { inbox, .. }) = commit.outcome else {
            return Err(Broken(NO_LOST_WAKE, "it was parked without a suspend".to_owned()));
        };
        must(inbox == arrived, NO_LOST_WAKE, || {
            format!("it was parked by a worker that had read {inbox} of {arrived} inbox items")
        })
    }

    fn note_owner(&mut self, at: Moment, decided: &Decided) -> Result<(), Broken> {
        let run = &decided.transition.run;
        self.takeovers += u64::from(matches!(decided.by, By::Sweep));
        let Some(lease) = run.lease_held() else {
            if let Some(owner) = self.owner.take() {
                let ended = matches!(decided.by, By::Commit(_));
                let known = ended || (owner.acknowledged && !owner.doubtful);
                self.late.insert(owner.lease, known);
            }
            return Ok(());
        };
        match (&decided.by, &mut self.owner) {
            (By::Claim, owner) => {
                let new = self.leases.insert(lease.id) && lease.epoch > self.epoch;
                must(new, ONE_WRITER, || "a lease or an epoch was used again".to_owned())?;
                self.epoch = lease.epoch;
                let until = at.database + limits::OFFER_TTL;
                let (lease, epoch) = (lease.id, lease.epoch);
                *owner = Some(Owner { lease, epoch, until, acknowledged: false, doubtful: false });
            }
            (By::Commit(_) | By::Beat(_), Some(owner)) => {
                owner.until = owner.until.max(at.database + limits::LEASE_TTL);
            }
            _ => {}
        }
        Ok(())
    }

    fn check_produced(&self, record: &Record, lease: LeaseId) -> Result<(), Broken> {
        let executions = self.executions.get(&record.key).into_iter().flatten();
        let by = |execution: &Execution| {
            let result = execution.number.to_string();
            execution.lease == lease && value(&record.status) == result.as_bytes()
        };
        must({ executions }.any(by), ONE_WRITER, || {
            format!("`{}` was recorded with a result that its lease did not produce", record.key)
        })
    }
}

/// The signal that an item of the inbox is.
fn signal_of(item: &InboxItem) -> Option<&str> {
    match &item.topic {
        Topic::Signal(name) => Some(name.as_str()),
        Topic::Wait(_) => None,
    }
}

/// The signal that a wait's key names.
fn signal(key: &Key) -> Option<&str> {
    let segment = key.as_str().rsplit('/').next()?;
    segment.split('#').next()?.strip_prefix("signal:")
}

fn number(lease: LeaseId) -> u128 {
    lease.uuid().as_u128()
}
