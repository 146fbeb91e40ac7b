//! The ledger of one run: what was committed, by whom, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::{InboxItem, Outcome, WaitReason};
use tenure_core::steering::Steer;
use tenure_core::{Entry, Interrupt, InterruptId, Key, LeaseId, Run, RunState, Timestamp, limits};

use super::effects::Execution;
use super::{Broken, By, DB_TIME, Decided, FINAL, Moment, NO_LOST_WAKE, ONE_WRITER, must};

/// What the oracle knows about a run.
pub(super) struct Ledger {
    pub(super) row: Arc<Run>,
    pub(super) entries: Vec<Entry>,
    /// When each was committed, and how far the database's clock had been set forward by then.
    times: Vec<(Duration, Duration)>,
    pub(super) inbox: Vec<InboxItem>,
    pub(super) questions: BTreeMap<InterruptId, Interrupt>,
    /// Whether it was asked to rest, and not to go on since then.
    pub(super) paused: bool,
    pub(super) executions: BTreeMap<Key, Vec<Execution>>,
    pub(super) owner: Option<Owner>,
    leases: BTreeSet<LeaseId>,
    epoch: u64,
    /// Leases that are over, and whether their worker could know that without being told.
    pub(super) late: BTreeMap<LeaseId, bool>,
    /// Leases that ended while something was being executed, because its code gave up.
    pub(super) cut: BTreeSet<LeaseId>,
    /// Leases that were taken away because their time was up.
    pub(super) takeovers: u64,
}

/// Who may write.
pub(super) struct Owner {
    pub(super) lease: LeaseId,
    pub(super) epoch: u64,
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
            questions: BTreeMap::new(),
            paused: false,
            cut: BTreeSet::new(),
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

    /// Whether it does not go on, or will not for long: what an acknowledged pause means.
    pub(super) fn rests_or_will(&self) -> bool {
        let asked = self.row.pause_asked() || self.row.cancel_asked().is_some();
        asked
            || matches!(
                self.row.state,
                RunState::Waiting { reason: WaitReason::Paused(_) | WaitReason::Blocked(_) }
                    | RunState::Succeeded { .. }
                    | RunState::Failed { .. }
                    | RunState::Cancelled { .. }
            )
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
        let recorded = self.entries.len();
        for effect in &decided.transition.effects {
            self.note_effect(at.database, effect, decided)?;
        }
        self.times.resize(self.times.len() + self.entries.len() - recorded, (at.now, forward));
        self.check_rest(decided)?;
        self.note_owner(at, decided)?;
        self.note_pause(decided);
        self.row = Arc::new(run.clone());
        self.check_questions()
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
                let late = row.deadline.is_some_and(|deadline| deadline <= now);
                must(up || forced || late, DB_TIME, || {
                    format!("its lease was taken away at {now}, before its time was up")
                })
            }
            By::Create(_)
            | By::Client
            | By::Steer(_)
            | By::Answer
            | By::TimeOut
            | By::Turn
            | By::System => Ok(()),
        }
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

    /// Notes that somebody wants it to rest, or to go on.
    fn note_pause(&mut self, decided: &Decided) {
        match decided.by {
            By::Steer(Steer::Pause) => self.paused = true,
            By::Steer(Steer::Resume | Steer::Retry | Steer::Patch) => self.paused = false,
            _ => {}
        }
    }

    fn note_owner(&mut self, at: Moment, decided: &Decided) -> Result<(), Broken> {
        let run = &decided.transition.run;
        self.takeovers += u64::from(decided.is_takeover());
        let Some(lease) = run.lease_held() else {
            if let Some(owner) = self.owner.take() {
                let ended = matches!(decided.by, By::Commit(_));
                if gave_up(&decided.by) {
                    self.cut.insert(owner.lease);
                }
                // A deadline is nothing that a worker knows of.
                let up = owner.until < at.database;
                let known = ended || (up && owner.acknowledged && !owner.doubtful);
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
}

/// Whether the code stopped wherever it was.
fn gave_up(by: &By) -> bool {
    let By::Commit(commit) = by else { return false };
    matches!(commit.outcome, Some(Outcome::Fail { .. } | Outcome::Block(_)))
}

fn number(lease: LeaseId) -> u128 {
    lease.uuid().as_u128()
}
