//! How what happens reads in a trace.

use std::fmt;

use tenure_core::run::{Outcome, WaitReason};
use tenure_core::{Effect, RunState};

use crate::message::{Address, Caller, Hint, Message, Node, Reply, Request};
use crate::oracle::{By, Decided};
use crate::world::number;

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("database"),
            Self::ControlPlane(place) => write!(f, "control-plane-{place}"),
            Self::Worker(place) => write!(f, "worker-{place}"),
            Self::Client(place) => write!(f, "client-{place}"),
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
            Self::Cancel { .. } => f.write_str("cancel"),
            Self::Retry { .. } => f.write_str("retry"),
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
        Outcome::Fail { retry_after: None, .. } => "fail".to_owned(),
        Outcome::Fail { .. } => "fail and try again".to_owned(),
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
            RunState::Waiting { reason: WaitReason::Blocked(_) } => f.write_str("blocked")?,
            state => write!(f, "{}", state.name())?,
        }
        write!(f, ", epoch {}, next {}, inbox {}", run.epoch, run.next_seq, run.inbox)?;
        for effect in &transition.effects {
            if let Effect::Append(entry) = effect {
                write!(f, "; {} `{}`", entry.seq, entry.record.key)?;
            }
        }
        Ok(())
    }
}

fn cause(by: &By) -> &'static str {
    match by {
        By::Create(_) => "created",
        By::Client => "changed by its client",
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
            | Self::Cancel { run }
            | Self::Retry { run }
            | Self::Watch { run, .. }
            | Self::ReadJournal { run, .. }
            | Self::ReadInbox { run, .. } => Some(*run),
            Self::Commit(commit) => Some(commit.run),
            Self::Create { .. } | Self::Poll { .. } | Self::Beat { .. } => None,
        }
    }
}
