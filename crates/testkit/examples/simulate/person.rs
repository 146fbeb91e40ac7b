//! A person: looks what is open, answers questions, and helps runs that are stuck or rest. Two of
//! them do so at the same time and do not talk to each other. What they do not know the outcome of
//! they repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::WaitReason;
use tenure_core::steering::Steer;
use tenure_core::{Answer, ErrorKind, Interrupt, InterruptId, Payload, Run, RunId, RunState};

use crate::calls::{Calls, Manner, Ring};
use crate::code::STUCK;
use crate::message::{Address, CallId, How, Reply, Request};
use crate::oracle::ANSWERED_ONCE;
use crate::world::{self, World};

pub(crate) struct Person {
    me: Address,
    calls: Calls<Purpose>,
    /// What it has answered and not heard of yet.
    answers: BTreeMap<InterruptId, (RunId, Answer)>,
    /// Runs that it is helping.
    helped: BTreeSet<RunId>,
    said: u64,
}

/// What a call is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Look,
    Answer(InterruptId),
    Help(RunId),
}

pub(crate) enum Alarm {
    Look,
    Call(Box<Ring<Purpose>>),
}

impl From<Alarm> for world::Alarm {
    fn from(alarm: Alarm) -> Self {
        Self::Person(alarm)
    }
}

impl From<Ring<Purpose>> for world::Alarm {
    fn from(ring: Ring<Purpose>) -> Self {
        Self::Person(Alarm::Call(Box::new(ring)))
    }
}

impl Person {
    pub(crate) fn start(me: Address, world: &mut World) -> Self {
        world.alarm(me, Duration::ZERO, Alarm::Look);
        let (answers, helped) = (BTreeMap::new(), BTreeSet::new());
        Self { me, calls: Calls::new(me), answers, helped, said: 0 }
    }

    pub(crate) fn ring(&mut self, world: &mut World, alarm: Alarm) {
        match alarm {
            Alarm::Look => {
                let (look, request) = (Purpose::Look, Request::ListOpen);
                self.calls.ask(world, look, request, Manner::UNTIL_ANSWERED);
            }
            Alarm::Call(ring) => {
                if let Some((purpose, reply)) = self.calls.ring(world, *ring) {
                    self.learn(world, purpose, &reply);
                }
            }
        }
    }

    pub(crate) fn hear(&mut self, world: &mut World, call: CallId, reply: Reply) {
        if let Some((purpose, reply)) = self.calls.heard(world, call, reply) {
            self.learn(world, purpose, &reply);
        }
    }

    fn learn(&mut self, world: &mut World, purpose: Purpose, reply: &Reply) {
        match (purpose, reply) {
            (Purpose::Look, reply) => {
                if let Reply::Open { questions, runs } = reply {
                    for question in questions {
                        self.perhaps_answer(world, question);
                    }
                    for run in runs {
                        self.perhaps_help(world, run);
                    }
                }
                let pause = world.dice.millis(500, 2_500);
                world.alarm(self.me, pause, Alarm::Look);
            }
            (Purpose::Answer(id), reply) => self.answered(world, id, reply),
            // It may have gone on by itself, or by somebody else's help.
            (Purpose::Help(run), _) => drop(self.helped.remove(&run)),
        }
    }

    fn perhaps_answer(&mut self, world: &mut World, question: &Interrupt) {
        if self.answers.contains_key(&question.id) || !world.dice.chance(300) {
            return;
        }
        let (id, run) = (question.id, question.run);
        let decisions = question.question.decisions();
        let decision = decisions[world.dice.place(decisions.len())];
        // Nobody says the same as anybody else.
        self.said += 1;
        let reason = format!("{} says {}", self.me.node, self.said);
        let value = decision.has_value().then(|| Payload::json(reason.clone()));
        let value = value.unwrap_or_default();
        let answer = Answer { decision, value, reason, actor: self.me.node.to_string() };
        self.answers.insert(id, (run, answer.clone()));
        let request = Request::Answer { run, interrupt: id, answer };
        self.calls.ask(world, Purpose::Answer(id), request, Manner::UNTIL_ANSWERED);
    }

    fn answered(&mut self, world: &mut World, id: InterruptId, reply: &Reply) {
        let Some((run, answer)) = self.answers.remove(&id) else { return };
        match reply {
            Reply::Done(_) => {
                world.figures.answered += 1;
                world.oracle.told_answered(run, id, &answer);
            }
            Reply::Refused(error)
                if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::WrongState) =>
            {
                world.figures.late_answers += 1;
                world.oracle.told_too_late(run, id, &answer);
            }
            reply => {
                let what = format!("{} was told: {reply}", self.me);
                world.oracle.violated(ANSWERED_ONCE, Some(run), what);
            }
        }
    }

    fn perhaps_help(&mut self, world: &mut World, run: &Arc<Run>) {
        if self.helped.contains(&run.id) || !world.dice.chance(300) {
            return;
        }
        let RunState::Waiting { reason } = &run.state else { return };
        let how = match reason {
            WaitReason::Paused(_) => How::Do(Steer::Resume),
            WaitReason::Blocked(why) if why.code == STUCK && world.dice.chance(700) => {
                let Ok(key) = why.message.parse() else { return };
                self.said += 1;
                world.figures.patched += 1;
                How::Patch(key, Payload::json(format!("{} says {}", self.me.node, self.said)))
            }
            WaitReason::Blocked(_) => How::Do(Steer::Retry),
            WaitReason::Inbox { .. } | WaitReason::Turn => return,
        };
        self.helped.insert(run.id);
        let request = Request::Steer { run: run.id, how };
        self.calls.ask(world, Purpose::Help(run.id), request, Manner::UNTIL_ANSWERED);
    }
}
