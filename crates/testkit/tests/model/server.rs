//! The control plane: lock the row, let the rule decide, save. Each step is one transaction.

use tenure_core::run::{self, Committed, Outcome, Topic};
use tenure_core::{ErrorKind, Payload, Result, Steering, Transition, limits};

use crate::network::{Answer, Commit, End, Request};
use crate::row::{NOW, Row, TTL, lease_id, worker_id};
use crate::variants::Variant;
use crate::world::{Broken, World};

impl Commit {
    /// The commit as the rule takes it.
    fn command(&self) -> run::Commit {
        run::Commit {
            lease: lease_id(self.lease),
            expected_seq: self.expected_seq.into(),
            records: self.steps.iter().map(|step| step.record(self.lease)).collect(),
            outcome: self.end.map(End::outcome),
            digest: self.digest(),
        }
    }
}

impl End {
    fn outcome(self) -> Outcome {
        match self {
            Self::Succeed => Outcome::Succeed(Payload::default()),
            Self::Suspend { inbox } => {
                Outcome::Suspend { inbox: inbox.into(), wake_after: None, on: Vec::new() }
            }
            Self::Release => Outcome::Release,
            Self::Cancelled => Outcome::Cancelled,
        }
    }
}

impl World {
    /// Decides a request of a worker, and answers it.
    pub(crate) fn serve(&mut self, request: &Request, variant: Variant) -> Answer {
        let decided = match request {
            Request::Commit(commit) => {
                let (run, command) = variant.commit(self.row.load(), commit, commit.command());
                run.commit(command, NOW, TTL).map(|done| match done {
                    Committed::Applied(transition) => Some(*transition),
                    Committed::Repeated => None,
                })
            }
            Request::Beat { lease, .. } => {
                self.row.load().beat(lease_id(*lease), NOW, TTL).map(Some)
            }
        };
        let applied = matches!(decided, Ok(Some(_)));
        let stranger = applied && self.row.lease() != Some(request.lease());
        self.note(stranger, Broken::Stranger);
        match self.settle(decided) {
            Ok(()) => self.confirm(request),
            Err(kind) => refusal(kind),
        }
    }

    fn settle(&mut self, decided: Result<Option<Transition>>) -> Result<(), ErrorKind> {
        if let Some(transition) = decided.map_err(|error| error.kind())? {
            self.save(transition);
        }
        Ok(())
    }

    /// The answer is the run as it is now, also for a repetition.
    fn confirm(&self, request: &Request) -> Answer {
        let cancel = self.row.cancel.is_some();
        match request {
            Request::Commit(_) => Answer::Committed { next_seq: self.row.next_seq, cancel },
            Request::Beat { .. } => Answer::Alive { cancel },
        }
    }

    /// Offers the run to `worker`, under a lease that was never there before. False if it is not
    /// ready.
    pub(crate) fn lease(&mut self, worker: u8) -> bool {
        let lease = self.leases + 1;
        let offered =
            self.row.load().lease(lease_id(lease), worker_id(worker), NOW, limits::OFFER_TTL);
        self.leases += u8::from(offered.is_ok());
        self.queued && self.changed(offered.ok())
    }

    /// Takes back an offer.
    pub(crate) fn withdraw(&mut self) -> bool {
        let Some(lease) = self.row.lease() else { return false };
        let withdrawn = self.row.load().withdraw(lease_id(lease), NOW);
        self.changed(withdrawn.ok())
    }

    /// A client's signal. One that is refused is not sent again.
    pub(crate) fn signal(&mut self) -> bool {
        self.signals += 1;
        let (source, topic) = (self.signals.to_string(), Topic::Signal("go".parse().unwrap()));
        let delivered = self.row.load().deliver(source, topic, Ok(Payload::default()), None, NOW);
        self.changed(delivered.ok())
    }

    /// A client's cancel.
    pub(crate) fn cancel(&mut self) -> bool {
        let cancelled =
            self.row.load().cancel(Steering::default(), NOW, limits::CANCEL_GRACE).unwrap();
        self.changed(cancelled)
    }

    /// One round of the sweep that ends what is due.
    pub(crate) fn sweep(&mut self) -> bool {
        let ended = self.row.load().expire(NOW);
        self.changed(ended)
    }

    /// The second half of a sweep that read `seen` earlier and does not look at the lease again.
    pub(crate) fn sweep_blindly(&mut self, seen: Row) -> bool {
        let mut believed = self.row;
        believed.phase = seen.phase;
        let ended = believed.load().expire(NOW);
        self.changed(ended)
    }

    fn changed(&mut self, transition: Option<Transition>) -> bool {
        let changed = transition.is_some();
        if let Some(transition) = transition {
            self.save(transition);
        }
        changed
    }
}

fn refusal(kind: ErrorKind) -> Answer {
    match kind {
        ErrorKind::LeaseLost => Answer::Lost,
        ErrorKind::AlreadyExists => Answer::Conflict,
        ErrorKind::WrongState => Answer::WrongState,
        other => unreachable!("the model asks for nothing that is {}", other.as_str()),
    }
}
