//! The table *state × command*: what every command does to a run in every state. A change of the
//! rules is a visible change of this snapshot.

use std::fmt::Write as _;
use std::time::Duration;

use crate::common::{GRACE, OFFER, TTL, apply, at, commit, created, fail, lease_id, worker};
use tenure_core::run::{Outcome, WaitReason};
use tenure_core::{Effect, Failure, Payload, Result, Run, RunState, Timestamp, Transition};

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
    Outcome::Suspend { inbox, wake_after }
}

fn states() -> Vec<(&'static str, Run)> {
    let cancelling = running().cancel("enough", at(3), GRACE).unwrap().unwrap().run;
    let block = Outcome::Block(Failure::permanent("mismatch", "the code changed"));
    vec![
        ("queued", created().run),
        ("queued, later", ended(fail(Some(GRACE)))),
        ("offered", offered()),
        ("running", running()),
        ("running, cancel asked", cancelling),
        ("waiting, inbox", ended(suspend(0, None))),
        ("waiting, asleep", ended(suspend(0, Some(GRACE)))),
        ("waiting, awake", ended(suspend(0, Some(Duration::from_secs(1))))),
        ("waiting, blocked", ended(block)),
        ("succeeded", ended(Outcome::Succeed(Payload::json("1")))),
        ("failed", ended(fail(None))),
        ("cancelled", created().run.cancel("no", at(3), GRACE).unwrap().unwrap().run),
    ]
}

type Command = (&'static str, Box<dyn Fn(&Run, Timestamp) -> Result<Option<Transition>>>);

fn ending(name: &'static str, outcome: Outcome) -> Command {
    let end = commit(lease_id(LEASE), 1, &[], Some(outcome));
    (name, Box::new(move |run, now| apply(run, end.clone(), now)))
}

fn commands() -> Vec<Command> {
    let append = |lease, seq| commit(lease_id(lease), seq, &["plan"], None);
    let (mine, foreign, gap) = (append(LEASE, 1), append(99, 1), append(LEASE, 3));
    vec![
        ("lease", Box::new(|run, now| run.lease(lease_id(12), worker(), now, OFFER).map(Some))),
        ("beat", Box::new(|run, now| run.beat(lease_id(LEASE), now, TTL).map(Some))),
        ("beat, foreign lease", Box::new(|run, now| run.beat(lease_id(99), now, TTL).map(Some))),
        ("append", Box::new(move |run, now| apply(run, mine.clone(), now))),
        ("append, foreign lease", Box::new(move |run, now| apply(run, foreign.clone(), now))),
        ("append, gap", Box::new(move |run, now| apply(run, gap.clone(), now))),
        ending("succeed", Outcome::Succeed(Payload::json("1"))),
        ending("fail", fail(None)),
        ending("fail, retry", fail(Some(GRACE))),
        ending("suspend", suspend(0, None)),
        ending("suspend, sleep", suspend(0, Some(GRACE))),
        ending("suspend, inbox moved", suspend(9, None)),
        ending("block", Outcome::Block(Failure::permanent("mismatch", "the code changed"))),
        ending("release", Outcome::Release),
        ending("cancelled", Outcome::Cancelled),
        ("cancel", Box::new(|run, now| run.cancel("no", now, GRACE))),
        (
            "deliver",
            Box::new(|run, now| {
                let (name, payload) = ("go".parse()?, Payload::json("1"));
                run.deliver("someone".into(), name, payload, now).map(Some)
            }),
        ),
        ("retry", Box::new(Run::retry)),
        ("withdraw", Box::new(|run, now| run.withdraw(lease_id(LEASE), now).map(Some))),
        ("expire, too early", Box::new(|run, now| Ok(run.expire(now)))),
        ("expire", Box::new(|run, now| Ok(run.expire(now + GRACE + TTL)))),
    ]
}

fn effects(transition: &Transition) -> String {
    let word = |effect: &Effect| match effect {
        Effect::Open { .. } => "open".into(),
        Effect::Append(entry) => format!("append {}", entry.seq),
        Effect::Receive(item) => format!("receive {}", item.number),
        Effect::Enqueue { .. } => "enqueue".into(),
        Effect::Dequeue => "dequeue".into(),
        Effect::WakeOwner(_) => "wake owner".into(),
        Effect::WakeWatchers => "wake watchers".into(),
    };
    transition.effects.iter().map(word).collect::<Vec<String>>().join(", ")
}

fn state(run: &Run) -> String {
    match &run.state {
        RunState::Waiting { reason: WaitReason::Inbox { until: None } } => "waiting, inbox".into(),
        RunState::Waiting { reason: WaitReason::Inbox { .. } } => "waiting, asleep".into(),
        RunState::Waiting { reason: WaitReason::Blocked(_) } => "waiting, blocked".into(),
        state => state.name().to_string(),
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
