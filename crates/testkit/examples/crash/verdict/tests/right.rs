//! Evidence that is right: what some runs leave behind that did all that runs do.

use std::time::Duration;

use tenure_sdk::v1;
use v1::opening::Opening;
use v1::record::Status;

use crate::evidence::{Evidence, Found};
use crate::fault::{Fault, Party, What, worker_name};
use crate::log::{Event, Execution, Line, Telling};
use crate::program::{
    self, AGENT, Answer, Ask, CALLED, End, FAILED, Fate, ON_PURPOSE, Part, Program,
};
use crate::runs::{Outcome, Reply};

/// `run` slept, took two signals and worked in branches, and its first worker was killed in its first
/// step; `asks` was answered once, and another time nobody was in time; `calls` called a run that
/// worked and one that failed; `once` had a step that was in doubt, `paused` a rest, and `cancelled`
/// was. All went on in a calm.
pub(super) fn right() -> Evidence {
    let mut scene = Scene::default();
    scene.begin();
    scene.lead("run", |fate, parts| {
        let plain = |part: &Part| {
            matches!(part, Part::Step | Part::Sleep(_) | Part::Signal | Part::Branches(_))
        };
        let all = program::places(parts);
        fate == Fate::Left
            && all.iter().all(|place| plain(place.part))
            && has(parts, |part| matches!(part, Part::Sleep(_)))
            && parts.iter().any(|part| matches!(part, Part::Branches(_)))
            && program::signals(parts) == 2
    });
    scene.lead("asks", |fate, parts| {
        fate == Fate::Left
            && has(parts, |part| matches!(part, Part::Ask(Ask { deadline: None, .. })))
            && has(parts, |part| matches!(part, Part::Ask(Ask { deadline: Some(_), .. })))
            && !has(parts, |part| matches!(part, Part::Call(_)))
    });
    scene.lead("calls", |fate, parts| {
        let calls = |end| {
            move |part: &Part| matches!(part, Part::Call(input) if program::of(CALLED, *input).end == end)
        };
        fate == Fate::Left && has(parts, calls(End::Fails)) && has(parts, calls(End::Succeeds))
    });
    scene.lead("once", |fate, parts| fate == Fate::Left && has(parts, |part| *part == Part::Once));
    scene.lead("paused", |fate, _| fate == Fate::Paused);
    scene.lead("cancelled", |fate, _| fate == Fate::Cancelled);
    scene.end()
}

fn has(parts: &[Part], which: impl Fn(&Part) -> bool) -> bool {
    program::places(parts).iter().any(|place| which(place.part))
}

#[derive(Default)]
struct Scene {
    evidence: Evidence,
    now: Duration,
}

/// How a run ended: what it gave, the code of its failure, or nothing if it was cancelled.
type Ended = Option<Result<u64, &'static str>>;

impl Scene {
    /// The first worker of `run` is killed in its first step.
    fn begin(&mut self) {
        self.now = Duration::from_secs(100);
        let execution = Execution {
            worker: worker_name(0, 1),
            run: "run".into(),
            key: "step-0".into(),
            epoch: 1,
            value: 7,
        };
        let (what, whom, length) = (What::Killed, Party::Worker, Duration::ZERO);
        self.log(Event::Started(execution));
        self.log(Event::FaultBegins(0, Fault { what, whom, place: 0, length }));
        self.log(Event::FaultEnds(0));
        self.log(Event::CalmBegins);
    }

    fn end(mut self) -> Evidence {
        self.log(Event::CalmEnds);
        let mut evidence = self.evidence;
        evidence.listed = evidence.found.iter().map(|found| found.run.clone()).collect();
        for Found { run, journal } in &evidence.found {
            evidence.seen.see_run(run);
            for entry in journal {
                evidence.seen.see(&run.id, entry);
            }
        }
        evidence
    }

    fn log(&mut self, event: Event) {
        self.evidence.log.push(Line { at: 0, event });
    }

    fn change_world(&mut self, event: Event) {
        self.evidence.world.push(Line { at: 0, event });
    }

    /// A run that the client has created, with a program like this.
    fn lead(&mut self, id: &str, like: impl Fn(Fate, &[Part]) -> bool) {
        let fits = |input: &u64| like(program::fate(*input), &program::of(AGENT, *input).parts);
        let input = (0..100_000).find(fits).unwrap();
        let ledger = &mut self.evidence.ledger;
        ledger.created += 1;
        ledger.acknowledged.push(id.into());
        let signals = program::signals(&program::of(AGENT, input).parts);
        ledger.signals.insert(id.into(), signals);
        match program::fate(input) {
            Fate::Left => {}
            Fate::Paused => {
                self.log(Event::Rests(id.into(), 2));
                self.log(Event::Resumes(id.into()));
            }
            Fate::Cancelled => {
                ledger.cancelled.insert(id.into());
            }
        }
        self.run(id, "", AGENT, input);
    }

    /// A run, with those that it calls.
    fn run(&mut self, id: &str, parent: &str, agent: &str, input: u64) -> Ended {
        let Program { parts, end } = program::of(agent, input);
        let place = self.evidence.found.len();
        self.evidence.found.push(Found { run: v1::Run::default(), journal: Vec::new() });
        let mut play = Play { id, input, place, signals: 0, output: 0 };
        let mut places = program::places(&parts);
        if end == End::Never {
            places.pop();
        }
        for place in places {
            self.play(&mut play, &place.key, place.part);
        }
        let ended = match end {
            End::Succeeds => Some(Ok(play.output)),
            End::Fails => Some(Err(ON_PURPOSE)),
            End::Never => None,
        };
        self.evidence.found[place].run = v1::Run {
            id: id.into(),
            agent: agent.into(),
            parent: parent.into(),
            input: Some(json(&input.to_string())),
            entries: self.evidence.found[place].journal.len() as u64,
            ..outcome(ended)
        };
        ended
    }

    fn play(&mut self, play: &mut Play<'_>, key: &str, part: &Part) {
        use v1::EntryKind::{Child, Step, Wait};
        match part {
            Part::Step => {
                let value = self.record(play, key, Step, None);
                let execution = play.execution(key, value);
                self.log(Event::Started(execution.clone()));
                self.log(Event::Ended(execution.clone()));
                self.log(Event::Recorded(execution));
            }
            Part::Once => {
                self.append(play, key, Step, opened(Opening::Started(v1::Started {})));
                let value = self.record(play, key, Step, None);
                let execution = play.execution(key, value);
                let before = Execution { epoch: 1, value: 1, ..execution.clone() };
                self.change_world(Event::Started(before));
                self.change_world(Event::Doubted(execution.clone()));
                self.change_world(Event::Started(execution.clone()));
                self.change_world(Event::Ended(execution.clone()));
                self.log(Event::Recorded(execution));
            }
            Part::Sleep(length) => {
                let payload = json(&length.as_secs_f64().to_string());
                self.append(play, key, Wait, Status::Succeeded(payload));
                self.now += *length;
            }
            Part::Signal => {
                let brought = program::brought(play.input, play.signals);
                play.signals += 1;
                self.record(play, key, Wait, Some(brought));
            }
            Part::Ask(ask) => self.ask(play, key, ask),
            Part::Call(input) => {
                self.append(play, key, Child, opened(Opening::Child(v1::Call::default())));
                match self.run(&format!("{}/{key}", play.id), play.id, CALLED, *input) {
                    Some(Ok(output)) => {
                        self.record(play, key, Child, Some(output));
                    }
                    Some(Err(code)) => {
                        let failure = v1::Failure { code: code.into(), ..Default::default() };
                        self.append(play, key, Child, Status::Failed(failure));
                        play.output ^= FAILED;
                    }
                    None => {}
                }
            }
            Part::Branches(_) => {}
        }
    }

    /// A question: without a deadline it is answered, unless its run waits for ever.
    fn ask(&mut self, play: &mut Play<'_>, key: &str, ask: &Ask) {
        use v1::InterruptState::{Answered, Closed, TimedOut};
        self.append(
            play,
            key,
            v1::EntryKind::Wait,
            opened(Opening::Interrupt(v1::Question::default())),
        );
        let (state, answer) = match ask.deadline {
            _ if program::fate(play.input) == Fate::Cancelled => (Closed, None),
            Some((_, default)) => (TimedOut, Some((default, true))),
            None => (Answered, Some((Answer::Edit(7), false))),
        };
        let given = answer.filter(|(_, default)| !default).map(|(answer, _)| answer);
        let mut row = v1::Interrupt {
            run: play.id.into(),
            key: key.into(),
            state: state.into(),
            answer: given.map(|answer| answer.wire("ann")),
            ..Default::default()
        };
        row.due_at.get_or_insert_default().seconds = 7;
        row.ended_at.get_or_insert_default().seconds = 7;
        self.evidence.interrupts.push(row);
        if let Some(given) = given {
            for (answer, outcome) in [(given, Outcome::Taken), (Answer::Reject, Outcome::Conflict)]
            {
                let (run, key) = (play.id.into(), key.into());
                self.evidence.ledger.replies.push(Reply { run, key, answer, outcome });
            }
        }
        let Some((answer, timed_out)) = answer else { return };
        play.output ^= ask.worth(answer);
        let recorded = recorded(answer, timed_out);
        self.append(play, key, v1::EntryKind::Wait, Status::Succeeded(recorded));
        let (run, about) = (play.id.into(), ask.about);
        self.log(Event::Told(Telling { run, about, answer, timed_out }));
    }

    /// An entry with this value, or one of its own; what it is.
    fn record(
        &mut self,
        play: &mut Play<'_>,
        key: &str,
        kind: v1::EntryKind,
        value: Option<u64>,
    ) -> u64 {
        let next = self.evidence.found[play.place].journal.len() as u64 + 1;
        let value = value.unwrap_or(next * 1_000);
        play.output ^= value;
        self.append(play, key, kind, Status::Succeeded(json(&value.to_string())));
        value
    }

    fn append(&mut self, play: &Play<'_>, key: &str, kind: v1::EntryKind, status: Status) {
        let journal = &mut self.evidence.found[play.place].journal;
        let record = v1::Record {
            key: key.into(),
            kind: kind.into(),
            status: Some(status),
            ..v1::Record::default()
        };
        let seq = journal.len() as u64 + 1;
        let mut entry = v1::Entry { seq, epoch: 3, record: Some(record), ..v1::Entry::default() };
        set_time(&mut entry, self.now);
        journal.push(entry);
    }
}

/// A run that is being played.
struct Play<'a> {
    id: &'a str,
    input: u64,
    place: usize,
    signals: usize,
    output: u64,
}

impl Play<'_> {
    fn execution(&self, key: &str, value: u64) -> Execution {
        let (worker, run) = (worker_name(1, 1), self.id.into());
        Execution { worker, run, key: key.into(), epoch: 3, value }
    }
}

fn outcome(ended: Ended) -> v1::Run {
    let mut run = v1::Run::default();
    run.ended_at.get_or_insert_default();
    let state = match ended {
        Some(Ok(output)) => {
            run.output = Some(json(&output.to_string()));
            v1::RunState::Succeeded
        }
        Some(Err(code)) => {
            run.failure = Some(v1::Failure { code: code.into(), ..Default::default() });
            v1::RunState::Failed
        }
        None => v1::RunState::Cancelled,
    };
    run.set_state(state);
    run
}

fn opened(opening: Opening) -> Status {
    Status::Opened(v1::Opening { opening: Some(opening) })
}

/// An answer as the journal has it.
pub(super) fn recorded(answer: Answer, timed_out: bool) -> v1::Payload {
    let (decision, value) = match answer {
        Answer::Approve => ("approve", None),
        Answer::Edit(number) => ("edit", Some(number)),
        Answer::Reject => ("reject", None),
    };
    let recorded = serde_json::json!({
        "decision": decision, "value": value, "timed_out": timed_out
    });
    json(&recorded.to_string())
}

pub(super) fn json(text: &str) -> v1::Payload {
    v1::Payload { data: text.to_owned().into(), ..v1::Payload::default() }
}

pub(super) fn set_time(entry: &mut v1::Entry, at: Duration) {
    let time = entry.at.get_or_insert_default();
    time.seconds = i64::try_from(at.as_secs()).unwrap();
    time.nanos = i32::try_from(at.subsec_nanos()).unwrap();
}
