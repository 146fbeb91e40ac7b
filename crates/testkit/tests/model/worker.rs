//! A worker as `docs/protocol.md` wants it: one commit under way, the very same request again until
//! there is an answer, drop the run on `ABORTED` and `ALREADY_EXISTS`.
//!
//! A worker sends its next commit as soon as it can. One that waits a little does nothing that a
//! network which delays that commit does not do.

use crate::network::{Answer, Commit, End, Message, Request};
use crate::program::{PROGRAM, Recorded, Step};

/// A worker process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Worker {
    Idle,
    Holds(Held),
}

/// What a worker knows about the run that it holds, or thinks that it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    pub(crate) lease: u8,
    /// The journal as it came with the lease, and what was acknowledged since.
    pub(crate) journal: Vec<Recorded>,
    pub(crate) next_seq: u8,
    /// How many items of the inbox it has read.
    pub(crate) inbox: u8,
    pub(crate) cancel: bool,
    pub(crate) draining: bool,
    /// The commit that has no answer yet.
    pub(crate) flight: Option<Commit>,
}

/// What an answer means to its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Go on.
    Well,
    /// The lease has ended as it was meant to.
    Ended,
    /// The lease is lost.
    Lost,
    /// The suspend was refused: there is something to read.
    Read,
    /// The control plane says that the worker broke the protocol.
    Blamed,
}

impl Held {
    /// The step that the journal does not have yet. Found by key, as a replay does.
    fn missing(&self) -> Option<Step> {
        let recorded = |step: &Step| self.journal.iter().any(|entry| entry.step == *step);
        PROGRAM.iter().copied().find(|step| !recorded(step))
    }

    /// Whether its code waits for a signal that it has not read.
    pub(crate) fn waits(&self, signals: u8) -> bool {
        self.flight.is_none() && self.missing() == Some(Step::Signal) && self.inbox < signals
    }

    /// Sends the next commit, unless one is under way or the code waits for one of `signals`.
    pub(crate) fn go_on(&mut self, worker: u8, signals: u8) {
        if self.flight.is_some() {
            return;
        }
        let (steps, end): (&[Step], _) = match (self.missing(), worker) {
            _ if self.cancel => (&[], Some(End::Cancelled)),
            _ if self.draining => (&[], Some(End::Release)),
            // The second worker gathers what it can into one commit, the first one does not.
            (Some(Step::A), 1) => (&[Step::A, Step::B], None),
            (Some(Step::C), 1) => (&[Step::C], Some(End::Succeed)),
            (Some(Step::Signal), _) if self.inbox < signals => return,
            (Some(step), _) => (std::slice::from_ref(&PROGRAM[step as usize]), None),
            (None, _) => (&[], Some(End::Succeed)),
        };
        self.send(worker, steps, end);
    }

    /// Parks the run with what it has read of the inbox.
    pub(crate) fn suspend(&mut self, worker: u8) {
        self.send(worker, &[], Some(End::Suspend { inbox: self.inbox }));
    }

    fn send(&mut self, worker: u8, steps: &'static [Step], end: Option<End>) {
        let (lease, expected_seq) = (self.lease, self.next_seq);
        self.flight = Some(Commit { worker, lease, expected_seq, steps, end });
    }

    /// The commit that is under way, as a message.
    pub(crate) fn request(&self) -> Option<Request> {
        self.flight.map(Request::Commit)
    }

    /// Whether it still waits for an answer to this. A beat's news is always welcome.
    fn expects(&self, request: &Request) -> bool {
        match request {
            Request::Commit(commit) => self.flight == Some(*commit),
            Request::Beat { lease, .. } => self.lease == *lease,
        }
    }

    /// Learns from an answer.
    pub(crate) fn hear(&mut self, answer: Answer) -> Heard {
        match answer {
            Answer::Alive { cancel } => {
                self.cancel |= cancel;
                return Heard::Well;
            }
            Answer::Lost => return Heard::Lost,
            Answer::Conflict => return Heard::Blamed,
            Answer::Committed { .. } | Answer::WrongState => {}
        }
        let Some(commit) = self.flight.take() else { return Heard::Blamed };
        match answer {
            Answer::Committed { next_seq, cancel } => {
                let lease = commit.lease;
                let recorded = |step: &Step| Recorded { step: *step, value: step.value(lease) };
                self.journal.extend(commit.steps.iter().map(recorded));
                self.next_seq = next_seq;
                self.cancel |= cancel;
                if commit.end.is_some() { Heard::Ended } else { Heard::Well }
            }
            _ if matches!(commit.end, Some(End::Suspend { .. })) => Heard::Read,
            _ => Heard::Blamed,
        }
    }
}

impl Worker {
    /// What it holds, if anything.
    pub(crate) fn held(&self) -> Option<&Held> {
        match self {
            Self::Idle => None,
            Self::Holds(held) => Some(held),
        }
    }

    pub(crate) fn held_mut(&mut self) -> Option<&mut Held> {
        match self {
            Self::Idle => None,
            Self::Holds(held) => Some(held),
        }
    }

    /// Whether anybody would read this message. Answers to a process that is gone, or to a request
    /// that has been answered, go nowhere.
    pub(crate) fn wants(&self, message: &Message) -> bool {
        match message {
            Message::Ask(_) => true,
            Message::Answer(request, _) => self.held().is_some_and(|held| held.expects(request)),
        }
    }
}
