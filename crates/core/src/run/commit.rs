//! Commit: the owner appends to the journal and may end its lease, in one atomic call.

use std::time::Duration;

use super::{Run, RunState, WaitReason};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::id::LeaseId;
use crate::interrupt::{Interrupt, InterruptState};
use crate::journal::{EntryKind, EntryStatus, Failure, Record, Spending};
use crate::key::Key;
use crate::limits;
use crate::message::Message;
use crate::payload::Payload;
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};
use crate::wait::Opening;

/// What a worker asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The lease it holds.
    pub lease: LeaseId,
    /// The `seq` that it expects the first record to get, or the next one if there is none.
    pub expected_seq: u64,
    /// What to append, in order.
    pub records: Vec<Record>,
    /// How the lease ends, if it ends.
    pub outcome: Option<Outcome>,
    /// Digest of the whole request, lease included: the same digest is the same request.
    pub digest: Digest,
}

/// How a worker ends its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The run is done.
    Succeed(Payload),
    /// The run failed, or may try again after a pause.
    Fail {
        /// Why.
        failure: Failure,
        /// The pause before the next attempt; `None` leaves it to the run's policy.
        retry_after: Option<Duration>,
        /// The failed steps that are to be executed again in the next attempt.
        again: Vec<Key>,
    },
    /// Nothing can go on until something arrives in the inbox.
    Suspend {
        /// The inbox counter that the worker has seen (NO-LOST-WAKE).
        inbox: u64,
        /// Or until this much time has passed.
        wake_after: Option<Duration>,
        /// Which waits are open, for people; the first few are kept.
        on: Vec<Key>,
    },
    /// The run cannot go on without a decision.
    Block(Failure),
    /// The worker gives the run back, at no cost: it is going away.
    Release,
    /// The worker has stopped because a cancel was requested.
    Cancelled,
}

/// What a commit was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is new: save this.
    Applied(Box<Transition>),
    /// It was applied before, and its answer is the run as it is.
    Repeated,
}

impl Run {
    /// Decides a commit. The lease must be the current one (ONE-WRITER), the expected `seq` the next
    /// one (NO-GAP); the same request again is answered as before, and another one for the same
    /// `seq` is a conflict (FIRST-WINS).
    pub fn commit(&self, commit: Commit, now: Timestamp, ttl: Duration) -> Result<Committed> {
        if self.last_commit == Some(commit.digest) {
            return Ok(Committed::Repeated);
        }
        let alive = self.alive(commit.lease, now, ttl)?;
        self.check_seq(&commit)?;
        if self.check.is_some() && !commit.records.is_empty() {
            return Err(Error::invalid(format!("{} only checks: nothing is recorded", self.id)));
        }
        let appended = append(self, alive, commit.records, commit.digest, now)?;
        let applied = match commit.outcome {
            None => appended,
            Some(outcome) => {
                let end = appended.run.end(outcome, now)?;
                appended.then(end)
            }
        };
        Ok(Committed::Applied(Box::new(applied)))
    }

    fn check_seq(&self, commit: &Commit) -> Result<()> {
        let (expected, next) = (commit.expected_seq, self.next_seq);
        if expected < next {
            return Err(Error::already_exists(format!(
                "entry {expected} of {} is already recorded with other content; drop the run and report this worker",
                self.id
            )));
        }
        if expected > next {
            return Err(Error::wrong_state(format!(
                "the journal of {} ends at entry {}: entry {expected} would leave a gap",
                self.id,
                next - 1
            )));
        }
        if commit.records.len() > limits::COMMIT_ENTRIES {
            let what = "the number of entries in one commit";
            return Err(Error::too_large(what, commit.records.len(), limits::COMMIT_ENTRIES));
        }
        let last = next - 1 + commit.records.len() as u64;
        if last > limits::JOURNAL_ENTRIES {
            return Err(Error::new(
                crate::ErrorKind::TooLarge,
                format!(
                    "the journal of {} would have {last} entries; the limit is {}",
                    self.id,
                    limits::JOURNAL_ENTRIES
                ),
            ));
        }
        Ok(())
    }

    /// The run with the current lease taken off its attempts: it ended well.
    fn given_back(&self) -> Self {
        Self { attempts: self.attempts.saturating_sub(1), ..self.clone() }
    }

    /// The transition that ends the lease.
    fn end(&self, outcome: Outcome, now: Timestamp) -> Result<Transition> {
        let outcome = match (self.cancel_asked(), outcome) {
            // A run that was going to rest or come back anyway is cancelled instead.
            (
                Some(_),
                Outcome::Fail { retry_after: Some(_), .. }
                | Outcome::Suspend { .. }
                | Outcome::Block(_)
                | Outcome::Release,
            ) => Outcome::Cancelled,
            (_, outcome) => outcome,
        };
        match outcome {
            Outcome::Succeed(output) => {
                let output = output.checked(format!("the output of {}", self.id))?;
                Ok(self.to_rest(RunState::Succeeded { output, at: now }, now))
            }
            Outcome::Fail { failure, retry_after, again } => {
                check_again(&again)?;
                Ok(self.fail(failure, retry_after, again, now))
            }
            Outcome::Suspend { inbox, wake_after, mut on } if inbox == self.inbox => {
                let until = wake_after.map(|pause| now + pause);
                on.truncate(limits::WAIT_KEYS);
                let parked = RunState::Waiting { reason: WaitReason::Inbox { until, on } };
                Ok(self.given_back().to_rest(parked, now))
            }
            Outcome::Suspend { inbox, .. } => Err(Error::wrong_state(format!(
                "{} has {} inbox entries and the worker has seen {inbox}; read them before suspending",
                self.id, self.inbox
            ))),
            Outcome::Block(failure) => {
                let reason = WaitReason::Blocked(failure.cleaned());
                Ok(self.to_rest(RunState::Waiting { reason }, now))
            }
            Outcome::Release => Ok(self.given_back().to_queue(now, now)),
            Outcome::Cancelled => match self.cancel_asked() {
                Some((by, _)) => Ok(self.cancelled(by.clone(), now)),
                None => Err(Error::wrong_state(format!("nobody asked to cancel {}", self.id))),
            },
        }
    }

    /// Fails, or comes back: because the worker says when, or because the run's policy does.
    fn fail(
        &self,
        failure: Failure,
        retry_after: Option<Duration>,
        again: Vec<Key>,
        now: Timestamp,
    ) -> Transition {
        let mends = failure.retryable && self.cancel_asked().is_none();
        let by_policy = || self.retry.pause(self.retried).filter(|_| mends);
        let tired = self.attempts >= self.max_attempts;
        let Some(pause) = retry_after.or_else(by_policy).filter(|_| !tired) else {
            let failed = RunState::Failed { failure: failure.cleaned(), at: now };
            return self.to_rest(failed, now);
        };
        let mut after = Self { retried: self.retried + 1, ..self.clone() };
        let mut effects = Vec::with_capacity(again.len());
        for key in again {
            effects.push(after.entry(Record::again(key), now));
        }
        let reopened = Transition::of(self, after, effects, now);
        let queued = reopened.run.to_queue(now + pause, now);
        reopened.then(queued)
    }
}

/// Refuses keys that are no steps of the run's, and more than one commit may record.
fn check_again(again: &[Key]) -> Result<()> {
    if again.len() > limits::COMMIT_ENTRIES {
        let what = "the number of steps to execute again";
        return Err(Error::too_large(what, again.len(), limits::COMMIT_ENTRIES));
    }
    match again.iter().find(|key| key.is_reserved()) {
        Some(key) => Err(Error::invalid(format!("`{key}` is not a step to execute again"))),
        None => Ok(()),
    }
}

fn append(
    before: &Run,
    alive: Run,
    records: Vec<Record>,
    digest: Digest,
    now: Timestamp,
) -> Result<Transition> {
    let mut after = alive;
    after.last_commit = Some(digest);
    let mut effects = Vec::with_capacity(records.len() + 1);
    for record in records {
        let record = record.checked()?;
        after.consume(&record);
        after.open(&record, now, &mut effects);
        effects.push(after.entry(record, now));
    }
    if after.next_seq > before.next_seq {
        after.stalled = 0;
        effects.push(Effect::WakeWatchers);
    }
    let appended = Transition::of(before, after, effects, now);
    // What a record opens counts on the row as well, and so does the end of a call.
    let plain = appended.is_plain() && appended.run.called == before.called;
    Ok(if plain { appended.advancing() } else { appended })
}

impl Run {
    /// Counts what a record says was used. A called run has counted it as its own.
    fn consume(&mut self, record: &Record) {
        if let (EntryKind::Child, Some(total)) = (record.kind, &record.usage) {
            self.called.add(total);
        }
        let Some(Spending { usage, tool_calls }) = record.spending() else { return };
        if let Some(usage) = usage {
            self.usage.add(usage);
        }
        self.usage.tool_calls = self.usage.tool_calls.saturating_add_signed(tool_calls);
    }

    /// What a record begins outside of the journal.
    fn open(&mut self, record: &Record, now: Timestamp, effects: &mut Vec<Effect>) {
        let EntryStatus::Opened(opening) = &record.status else { return };
        match opening {
            Opening::Started | Opening::Again => {}
            Opening::Interrupt(question) => {
                self.interrupts += 1;
                effects.push(Effect::OpenInterrupt(Box::new(Interrupt {
                    id: Interrupt::id_of(self.id, &record.key),
                    tenant: self.tenant,
                    run: self.id,
                    agent: self.agent,
                    key: record.key.clone(),
                    question: (**question).clone(),
                    opened_at: now,
                    due_at: question.timeout.map(|timeout| now + timeout),
                    state: InterruptState::Open,
                })));
            }
            Opening::Child(call) => {
                self.children += u32::from(!call.detached);
                let message = Message::Call { key: record.key.clone(), call: call.clone() };
                effects.push(self.post(message));
            }
        }
    }
}
