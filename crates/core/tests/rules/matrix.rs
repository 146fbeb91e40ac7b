//! The table *state × command*: what every command does to a run in every state. A change of the
//! rules is a visible change of this snapshot.

use std::fmt::Write as _;
use std::time::Duration;

use crate::common::{
    DEADLINE, GRACE, OFFER, TTL, ann, apply, at, call, commit, commit_of, created, fail, lease_id,
    new_run, opened, question, worker,
};
use tenure_core::run::{Outcome, Topic, WaitReason};
use tenure_core::{
    Answer, Decision, Effect, EntryKind, EntryStatus, Failure, Interrupt, Message, Opening,
    Payload, Record, Result, Run, RunState, Timestamp, Transition,
};

const LEASE: u128 = 11;
const NOW: u64 = 5;

fn offered() -> Run {
    created().run.lease(lease_id(LEASE), worker(), at(1), OFFER).unwrap().run
}

fn running() -> Run {
    offered().beat(lease_id(LEASE), at(2), TTL).unwrap().run
}

fn ended(outcome: Outcome) -> Run {
    apply(&running(), commit(lease_id(LEASE), 1, &[], Some(outcome)), at(3)).unwrap().unwrap().run
}

fn suspend(inbox: u64, wake_after: Option<Duration>) -> Outcome {
    Outcome::Suspend { inbox, wake_after, on: vec!["signal:go".parse().unwrap()] }
}

/// A running run that has asked a question and called a run.
fn busy() -> Run {
    let asked = commit_of(lease_id(LEASE), 1, vec![question(), call("child:other")], None);
    apply(&running(), asked, at(3)).unwrap().unwrap().run
}

/// The question of [`busy`], which any run may be given an answer to here.
fn interrupt() -> Interrupt {
    let asked = commit_of(lease_id(LEASE), 1, vec![question()], None);
    let effects = apply(&running(), asked, at(3)).unwrap().unwrap().effects;
    let open = |effect| match effect {
        Effect::OpenInterrupt(interrupt) => Some(*interrupt),
        _ => None,
    };
    effects.into_iter().find_map(open).unwrap()
}

fn states() -> Vec<(&'static str, Run)> {
    let cancelling = running().cancel(ann(), at(3), GRACE).unwrap().unwrap().run;
    let pausing = running().pause(ann(), at(3)).unwrap().unwrap().run;
    let block = Outcome::Block(Failure::permanent("mismatch", "the code changed"));
    vec![
        ("queued", created().run),
        ("queued, later", ended(fail(Some(GRACE)))),
        ("offered", offered()),
        ("running", running()),
        ("running, cancel asked", cancelling),
        ("running, pause asked", pausing),
        ("running, has asked and called", busy()),
        ("waiting, inbox", ended(suspend(0, None))),
        ("waiting, asleep", ended(suspend(0, Some(GRACE)))),
        ("waiting, awake", ended(suspend(0, Some(Duration::from_secs(1))))),
        ("waiting, blocked", ended(block)),
        ("waiting, paused", created().run.pause(ann(), at(3)).unwrap().unwrap().run),
        ("waiting, turn", Run::create(new_run(), false, at(0)).unwrap().run),
        ("succeeded", ended(Outcome::Succeed(Payload::json("1")))),
        ("failed", ended(fail(None))),
        ("cancelled", created().run.cancel(ann(), at(3), GRACE).unwrap().unwrap().run),
    ]
}

type Command = (&'static str, Box<dyn Fn(&Run, Timestamp) -> Result<Option<Transition>>>);

fn ending(name: &'static str, outcome: Outcome) -> Command {
    let end = commit(lease_id(LEASE), 1, &[], Some(outcome));
    (name, Box::new(move |run, now| apply(run, end.clone(), now)))
}

fn commands() -> Vec<Command> {
    let append = |lease, seq| commit(lease_id(lease), seq, &["plan"], None);
    let started = opened("pay", EntryKind::Tool, Opening::Started);
    let begin = commit_of(lease_id(LEASE), 1, vec![started, question(), call("child:other")], None);
    let (mine, foreign, gap) = (append(LEASE, 1), append(99, 1), append(LEASE, 3));
    vec![
        ("lease", Box::new(|run, now| run.lease(lease_id(12), worker(), now, OFFER).map(Some))),
        ("beat", Box::new(|run, now| run.beat(lease_id(LEASE), now, TTL).map(Some))),
        ("beat, foreign lease", Box::new(|run, now| run.beat(lease_id(99), now, TTL).map(Some))),
        ("append", Box::new(move |run, now| apply(run, mine.clone(), now))),
        ("append, what begins", Box::new(move |run, now| apply(run, begin.clone(), now))),
        ("append, foreign lease", Box::new(move |run, now| apply(run, foreign.clone(), now))),
        ("append, gap", Box::new(move |run, now| apply(run, gap.clone(), now))),
        ending("succeed", Outcome::Succeed(Payload::json("1"))),
        ending("fail", fail(None)),
        ending("fail, retry", fail(Some(GRACE))),
        ending("fail, policy", may_mend()),
        ending("suspend", suspend(0, None)),
        ending("suspend, sleep", suspend(0, Some(GRACE))),
        ending("suspend, inbox moved", suspend(9, None)),
        ending("block", Outcome::Block(Failure::permanent("mismatch", "the code changed"))),
        ending("release", Outcome::Release),
        ending("cancelled", Outcome::Cancelled),
        ("cancel", Box::new(|run, now| run.cancel(ann(), now, GRACE))),
        ("pause", Box::new(|run, now| run.pause(ann(), now))),
        ("resume", Box::new(|run, now| run.resume(ann(), now).map(Some))),
        (
            "patch",
            Box::new(|run, now| {
                let result = EntryStatus::Succeeded(Payload::json("1"));
                run.patch("plan".parse()?, result, ann(), now).map(Some)
            }),
        ),
        ("prioritize", Box::new(|run, now| run.prioritize(5, ann(), now))),
        ("prioritize, the same", Box::new(|run, now| run.prioritize(0, ann(), now))),
        ("admit", Box::new(|run, now| run.admit(now).map(Some))),
        (
            "deliver",
            Box::new(|run, now| {
                let (topic, payload) = (Topic::Signal("go".parse()?), Payload::json("1"));
                run.deliver("someone".into(), topic, Ok(payload), None, now).map(Some)
            }),
        ),
        (
            "deliver, end of a wait",
            Box::new(|run, now| {
                let topic = Topic::Wait("child:other".parse()?);
                let failed = Err(Failure::permanent("broken", "it broke"));
                run.deliver("call".into(), topic, failed, None, now).map(Some)
            }),
        ),
        (
            "resolve",
            Box::new(|run, now| run.resolve(&interrupt(), approve(), Payload::json("1"), now)),
        ),
        ("time out, too early", Box::new(|run, now| run.time_out(&interrupt(), None, now))),
        (
            "time out",
            Box::new(|run, now| run.time_out(&interrupt(), None, now + Duration::from_hours(1))),
        ),
        ("retry", Box::new(|run, now| run.retry(ann(), now))),
        ("withdraw", Box::new(|run, now| run.withdraw(lease_id(LEASE), now).map(Some))),
        ("expire, too early", Box::new(|run, now| Ok(run.expire(now)))),
        ("expire", Box::new(|run, now| Ok(run.expire(now + GRACE + TTL)))),
        ("expire, deadline", Box::new(|run, _| Ok(run.expire(at(0) + DEADLINE)))),
    ]
}

fn approve() -> Answer {
    Answer {
        decision: Decision::Approve,
        value: Payload::default(),
        reason: String::new(),
        actor: "ann".into(),
    }
}

/// A failure that the run's policy tries again, with the step that it failed with.
fn may_mend() -> Outcome {
    let failure = Failure::retryable("http_503", "it is down");
    Outcome::Fail { failure, retry_after: None, again: vec!["fetch".parse().unwrap()] }
}

fn appended(record: &Record) -> String {
    match &record.status {
        EntryStatus::Opened(Opening::Started) => format!("{} started", record.key),
        EntryStatus::Opened(Opening::Again) => format!("{} again", record.key),
        EntryStatus::Opened(_) => format!("{} opened", record.key),
        EntryStatus::Succeeded(_) | EntryStatus::Failed(_) | EntryStatus::Steered(_) => {
            record.key.to_string()
        }
    }
}

fn posted(message: &Message) -> &'static str {
    match message {
        Message::Call { .. } => "call",
        Message::Ended { .. } => "ended",
        Message::EndChildren { .. } => "end children",
        Message::FreeTurn { .. } => "free turn",
        Message::TakeTurn { .. } => "take turn",
    }
}

fn effects(transition: &Transition) -> String {
    let word = |effect: &Effect| match effect {
        Effect::Open { .. } => "open".into(),
        Effect::Append(entry) => format!("append {} {}", entry.seq, appended(&entry.record)),
        Effect::Receive(item) => format!("receive {}", item.number),
        Effect::Enqueue { .. } => "enqueue".into(),
        Effect::Dequeue => "dequeue".into(),
        Effect::OpenInterrupt(_) => "open interrupt".into(),
        Effect::EndInterrupt { state, .. } => format!("interrupt {}", state.as_str()),
        Effect::CloseInterrupts { .. } => "close interrupts".into(),
        Effect::Post { number, message } => format!("post {number} {}", posted(message)),
        Effect::WakeOwner(_) => "wake owner".into(),
        Effect::WakeWatchers => "wake watchers".into(),
    };
    transition.effects.iter().map(word).collect::<Vec<String>>().join(", ")
}

fn state(run: &Run) -> &'static str {
    match &run.state {
        RunState::Waiting { reason: WaitReason::Inbox { until: Some(_), .. } } => "asleep",
        state => state.describe(),
    }
}

#[test]
fn state_by_command() {
    let mut table = String::new();
    for (name, run) in states() {
        writeln!(table, "{name}").unwrap();
        for (command, decide) in commands() {
            let answer = match decide(&run, at(NOW)) {
                Err(error) => format!("refused: {}", error.kind().as_str()),
                Ok(None) => "nothing to do".into(),
                Ok(Some(done)) => format!("→ {} [{}]", state(&done.run), effects(&done)),
            };
            writeln!(table, "  {command:<22} {answer}").unwrap();
        }
    }
    insta::assert_snapshot!(table);
}
