//! How what happens reads in a trace.

use std::fmt;

use tenure_core::run::Outcome;
use tenure_core::{Effect, EntryStatus, Message as Between, Opening, RunState};

use crate::message::{Address, Caller, Hint, How, Message, Node, Reply, Request};
use crate::oracle::{By, Decided};
use crate::world::number;

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("database"),
            Self::ControlPlane(place) => write!(f, "control-plane-{place}"),
            Self::Worker(place) => write!(f, "worker-{place}"),
            Self::Client(place) => write!(f, "client-{place}"),
            Self::Person(place) => write!(f, "person-{place}"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.life)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(Caller { who, call }, request) => write!(f, "{who} asks #{call}: {request}"),
            Self::Cut(Caller { who, call }) => write!(f, "{who} lets go of #{call}"),
            Self::Answer(Caller { call, .. }, reply) => write!(f, "answer to #{call}: {reply}"),
            Self::Hint(Hint::Posted) => f.write_str("hint: messages"),
            Self::Hint(Hint::Pool) => f.write_str("hint: the queue"),
            Self::Hint(Hint::Worker(worker)) => {
                write!(f, "hint: worker {}", worker.uuid().as_u128())
            }
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { key, .. } => write!(f, "create {key}"),
            Self::Signal { source, name, .. } => write!(f, "signal {name} ({source})"),
            Self::Steer { how: How::Do(steer), .. } => f.write_str(steer.as_str()),
            Self::Steer { how: How::Patch(key, value), .. } => {
                write!(f, "patch `{key}`: {}", String::from_utf8_lossy(&value.data))
            }
            Self::Steer { how: How::Prioritize(priority), .. } => write!(f, "priority {priority}"),
            Self::ListOpen => f.write_str("what is open?"),
            Self::Answer { interrupt, answer, .. } => {
                let (decision, reason) = (answer.decision.as_str(), &answer.reason);
                write!(f, "answer {interrupt} with {decision}: {reason}")
            }
            Self::Watch { after, .. } => write!(f, "watch after {after}"),
            Self::Poll { capacity, .. } => write!(f, "poll for {capacity}"),
            Self::Beat { leases, .. } => write!(f, "beat for {} leases", leases.len()),
            Self::Commit(commit) => {
                let (lease, seq) = (commit.lease.uuid().as_u128(), commit.expected_seq);
                write!(f, "commit under lease {lease} at {seq}:")?;
                commit.records.iter().try_for_each(|record| write!(f, " `{}`", record.key))?;
                commit.outcome.iter().try_for_each(|outcome| write!(f, " {}", word(outcome)))
            }
            Self::ReadJournal { after, .. } => write!(f, "read the journal after {after}"),
            Self::ReadInbox { after, .. } => write!(f, "read the inbox after {after}"),
        }
    }
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeed(_) => "succeed".to_owned(),
        Outcome::Fail { failure, retry_after, again } => {
            format!("fail as {} again {again:?} after {retry_after:?}", failure.code)
        }
        Outcome::Suspend { inbox, wake_after, .. } => {
            format!("suspend at {inbox} for {wake_after:?}")
        }
        Outcome::Block(_) => "block".to_owned(),
        Outcome::Release => "release".to_owned(),
        Outcome::Cancelled => "cancelled".to_owned(),
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(run) => write!(f, "done, {}", run.state.name()),
            Self::Page { run, entries, .. } => {
                write!(f, "{} entries, {}", entries.len(), run.state.name())
            }
            Self::Open { questions, runs } => {
                write!(f, "{} questions, {} runs", questions.len(), runs.len())
            }
            Self::Inbox { items, .. } => write!(f, "{} items", items.len()),
            Self::Leased(offered) => {
                f.write_str("leased:")?;
                offered.iter().try_for_each(|one| write!(f, " run {}", number(one.run.id)))
            }
            Self::News(news) => write!(f, "{} news", news.len()),
            Self::Refused(error) => write!(f, "{}", error.kind().as_str()),
        }
    }
}

/// A change that is committed.
pub(crate) struct Saved<'a>(pub(crate) &'a Decided);

impl fmt::Display for Saved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decided { by, transition, .. } = self.0;
        let run = &transition.run;
        write!(f, "run {} {}: ", number(run.id), cause(by))?;
        match &run.state {
            RunState::Running { lease } => {
                write!(f, "running under lease {}", lease.id.uuid().as_u128())?;
                write!(f, " of worker {}", lease.worker.uuid().as_u128())?;
            }
            state => f.write_str(state.describe())?,
        }
        write!(f, ", epoch {}, next {}, inbox {}", run.epoch, run.next_seq, run.inbox)?;
        for effect in &transition.effects {
            match effect {
                Effect::Append(entry) => {
                    write!(
                        f,
                        "; {} {} `{}`",
                        entry.seq,
                        status(&entry.record.status),
                        entry.record.key
                    )?;
                }
                Effect::Post { number, message } => {
                    write!(f, "; posts {number} {}", said(message))?;
                }
                Effect::Receive(item) => write!(f, "; receives {}", item.topic)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn status(status: &EntryStatus) -> &'static str {
    match status {
        EntryStatus::Opened(Opening::Started) => "started",
        EntryStatus::Opened(Opening::Again) => "again",
        EntryStatus::Opened(Opening::Interrupt(_)) => "asked",
        EntryStatus::Opened(Opening::Child(_)) => "called",
        EntryStatus::Succeeded(_) => "done",
        EntryStatus::Failed(_) => "failed",
        EntryStatus::Steered(_) => "steered",
    }
}

fn said(message: &Between) -> String {
    match message {
        Between::Call { key, .. } => format!("the call `{key}`"),
        Between::Ended { key, .. } => format!("the end of the call `{key}`"),
        Between::EndChildren { .. } => "the end of its children".to_owned(),
        Between::FreeTurn { key } => format!("its turn of `{key}`"),
        Between::TakeTurn { key } => format!("that it wants the turn of `{key}`"),
    }
}

fn cause(by: &By) -> &'static str {
    match by {
        By::Create(_) => "created",
        By::Client => "given something",
        By::Steer(steer) => steer.as_str(),
        By::Answer => "answered",
        By::TimeOut => "told that time is up",
        By::Turn => "given its turn",
        By::System => "cancelled by another run",
        By::Commit(_) => "committed",
        By::Beat(_) => "kept alive",
        By::Claim => "leased",
        By::Withdraw(_) => "withdrawn",
        By::Sweep => "swept",
    }
}

impl Message {
    /// Which run it is about, if it is about one.
    pub(crate) fn run(&self) -> Option<tenure_core::RunId> {
        match self {
            Self::Ask(_, request) => request.run(),
            Self::Answer(_, Reply::Done(run) | Reply::Page { run, .. }) => Some(run.id),
            Self::Answer(..) | Self::Cut(_) | Self::Hint(_) => None,
        }
    }
}

impl Request {
    fn run(&self) -> Option<tenure_core::RunId> {
        match self {
            Self::Signal { run, .. }
            | Self::Steer { run, .. }
            | Self::Answer { run, .. }
            | Self::Watch { run, .. }
            | Self::ReadJournal { run, .. }
            | Self::ReadInbox { run, .. } => Some(*run),
            Self::Commit(commit) => Some(commit.run),
            Self::Create { .. } | Self::ListOpen | Self::Poll { .. } | Self::Beat { .. } => None,
        }
    }
}
