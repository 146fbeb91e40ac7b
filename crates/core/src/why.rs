//! Why a run is where it is, in a sentence: the first question when something does not move.

use crate::id::RunId;
use crate::interrupt::Interrupt;
use crate::key::Key;
use crate::lease::Lease;
use crate::limits;
use crate::name::Name;
use crate::queue::Cap;
use crate::run::{Request, Run, RunState, WaitReason};
use crate::steering::Steering;
use crate::time::Timestamp;

/// What has to be known about the surroundings of a run.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The database's clock.
    pub now: Timestamp,
    /// The name of its agent.
    pub agent: Name,
    /// When a worker last asked for runs of its pool.
    pub polled_at: Option<Timestamp>,
    /// The cap of its tenant.
    pub tenant_cap: Option<Cap>,
    /// The cap of its agent.
    pub agent_cap: Option<Cap>,
    /// How many runs come before it in its queue.
    pub ahead: u64,
    /// Who has the turn of its concurrency key.
    pub turn: Option<RunId>,
    /// Its open interrupts, the oldest first.
    pub interrupts: Vec<Interrupt>,
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// A stable word for programs.
    pub code: &'static str,
    /// For people.
    pub sentence: String,
    /// Since when, as far as the run's row knows.
    pub since: Timestamp,
}

impl Run {
    /// Why the run is where it is.
    pub fn explain(&self, facts: &Facts) -> Why {
        let (code, sentence) = match &self.state {
            RunState::Queued { ready_at } => self.explain_queued(*ready_at, facts),
            RunState::Running { lease } => self.explain_running(lease, facts.now),
            RunState::Waiting { reason } => self.explain_waiting(reason, facts),
            RunState::Succeeded { at, .. } => ("succeeded", format!("it succeeded at {at}")),
            RunState::Failed { failure, at } => {
                ("failed", format!("it failed at {at} ({}): {}", failure.code, failure.message))
            }
            RunState::Cancelled { by, at } => {
                ("cancelled", format!("it was cancelled at {at}{}", said(by)))
            }
        };
        Why { code, sentence, since: self.updated_at }
    }

    fn explain_queued(&self, ready_at: Timestamp, facts: &Facts) -> (&'static str, String) {
        if ready_at <= facts.now {
            return self.explain_ready(facts);
        }
        if ready_at <= self.start_at {
            return ("starts_later", format!("it is to start at {ready_at}, as was asked"));
        }
        let why = match (self.retried, self.stalled) {
            (_, stalled @ 1..) => format!("its worker was lost {stalled} times in a row"),
            (retried @ 1.., _) => format!("it has failed and is tried again ({retried})"),
            (0, 0) => "it asked for a pause".to_owned(),
        };
        ("backs_off", format!("it backs off until {ready_at}: {why}"))
    }

    /// Ready, and not leased yet.
    fn explain_ready(&self, facts: &Facts) -> (&'static str, String) {
        let pool = &self.pool;
        let silent = limits::POOL_SILENCE.as_secs();
        let heard = facts.polled_at.is_some_and(|at| facts.now.since(at) <= limits::POOL_SILENCE);
        match (facts.polled_at, facts.tenant_cap, facts.agent_cap) {
            (None, ..) => {
                ("no_worker", format!("no worker has ever asked for runs of pool `{pool}`"))
            }
            (Some(at), ..) if !heard => (
                "no_worker",
                format!(
                    "no worker asked for runs of pool `{pool}` in the last {silent} s, since {at}"
                ),
            ),
            (_, Some(Cap { limit, running }), _) if running >= limit.into() => (
                "tenant_cap",
                format!("its tenant is at its cap: {running} of {limit} runs are leased"),
            ),
            (_, _, Some(Cap { limit, running })) if running >= limit.into() => (
                "agent_cap",
                format!(
                    "agent `{}` is at its cap: {running} of {limit} runs are leased",
                    facts.agent
                ),
            ),
            _ => match facts.ahead {
                0 => ("next", format!("it is next in pool `{pool}`, as soon as a worker has room")),
                1 => ("behind", format!("1 run is ahead of it in pool `{pool}`")),
                limit if limit >= limits::COUNT => {
                    ("behind", format!("at least {limit} runs are ahead of it in pool `{pool}`"))
                }
                ahead => ("behind", format!("{ahead} runs are ahead of it in pool `{pool}`")),
            },
        }
    }

    fn explain_running(&self, lease: &Lease, now: Timestamp) -> (&'static str, String) {
        let worker = lease.worker;
        match &self.request {
            Some(Request::Cancel { by, force_at }) => (
                "cancelling",
                format!(
                    "its worker {worker} was asked to stop{}; it is ended by force at {force_at}",
                    said(by)
                ),
            ),
            Some(Request::Pause { by }) => {
                ("pausing", format!("its worker {worker} was asked to pause it{}", said(by)))
            }
            None if lease.expired(now) => (
                "worker_lost",
                format!(
                    "its worker {worker} was last heard of before {}; it is about to be taken over",
                    lease.until
                ),
            ),
            None if !lease.started => {
                ("offered", format!("it was just offered to worker {worker}"))
            }
            None => ("running", format!("it is running on worker {worker}")),
        }
    }

    fn explain_waiting(&self, reason: &WaitReason, facts: &Facts) -> (&'static str, String) {
        match reason {
            WaitReason::Inbox { until: Some(until), .. } if *until <= facts.now => {
                self.explain_ready(facts)
            }
            WaitReason::Inbox { until, on } => explain_parked(*until, on, &facts.interrupts),
            WaitReason::Blocked(failure) => {
                ("blocked", format!("it is blocked ({}): {}", failure.code, failure.message))
            }
            WaitReason::Paused(by) => ("paused", format!("it is paused{}", said(by))),
            WaitReason::Turn => {
                let key = self.concurrency.as_deref().unwrap_or_default();
                let who =
                    facts.turn.map_or_else(|| "another run".to_owned(), |run| run.to_string());
                ("turn", format!("it waits for its turn: {who} has concurrency key `{key}`"))
            }
        }
    }
}

fn explain_parked(
    until: Option<Timestamp>,
    on: &[Key],
    interrupts: &[Interrupt],
) -> (&'static str, String) {
    let named = |prefix: &str| {
        let names = on.iter().filter_map(|key| key.name().strip_prefix(prefix));
        names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let (children, signals) = (named("child:"), named("signal:"));
    match (interrupts, until) {
        ([one], _) => ("interrupt", format!("it waits for {}", asked(one))),
        ([first, ..], _) => (
            "interrupt",
            format!("it waits for {} interrupts, first for {}", interrupts.len(), asked(first)),
        ),
        ([], _) if !children.is_empty() => {
            ("child", format!("it waits for runs that it called: {children}"))
        }
        ([], None) if !signals.is_empty() => ("signal", format!("it waits for signal {signals}")),
        ([], Some(until)) if !signals.is_empty() => {
            ("signal", format!("it waits for signal {signals}, or until {until}"))
        }
        ([], Some(until)) => ("sleeps", format!("it sleeps until {until}")),
        ([], None) => ("inbox", "it waits for something to arrive in its inbox".to_owned()),
    }
}

fn asked(interrupt: &Interrupt) -> String {
    let (id, question, since) = (interrupt.id, &interrupt.question, interrupt.opened_at);
    let title = if question.title.is_empty() { interrupt.key.as_str() } else { &question.title };
    let whom = match &*question.assignee {
        "" => String::new(),
        assignee => format!(", of {assignee}"),
    };
    let until = interrupt.due_at.map(|due_at| format!(", until {due_at}")).unwrap_or_default();
    format!("interrupt {id} (“{title}”) since {since}{whom}{until}")
}

fn said(by: &Steering) -> String {
    let actor = match &*by.actor {
        "" => String::new(),
        actor => format!(" by {actor}"),
    };
    match &*by.reason {
        "" => actor,
        reason => format!("{actor}: {reason}"),
    }
}
