//! The way into the journal: one commit under way, the very same request again until it is answered.

use std::sync::Arc;

use tenure_core::run::Outcome;
use tenure_core::{ErrorKind, LeaseId};

use super::leased::Flight;
use super::{Purpose, Worker};
use crate::calls::Manner;
use crate::code::FiberId;
use crate::message::{CommitRequest, Reply, Request};
use crate::world::World;

/// Records in one commit: so few that several are needed at times.
const RECORDS: usize = 3;

impl Worker {
    /// Sends the next commit, unless one is under way or there is nothing to say.
    pub(super) fn commit(&mut self, world: &mut World, lease: LeaseId) {
        let gathers = self.habits.gathers;
        let Some(leased) = self.runs.get_mut(&lease) else { return };
        let idle = leased.records.is_empty() && leased.outcome.is_none();
        if leased.flight.is_some() || idle {
            return;
        }
        let some = leased.records.len().min(RECORDS);
        let (fibers, records): (Vec<FiberId>, Vec<_>) = leased.records.drain(..some).unzip();
        // What was recorded comes before how it ends: in one commit, or in one after the other.
        let last = leased.records.is_empty() && (gathers || records.is_empty());
        let outcome = leased.outcome.clone().filter(|_| last);
        let (run, expected_seq) = (leased.run.id, leased.next_seq);
        let request = Arc::new(CommitRequest { run, lease, expected_seq, records, outcome });
        leased.flight = Some(Flight { request: request.clone(), fibers });
        let (purpose, request) = (Purpose::Commit(lease), Request::Commit(request));
        self.calls.ask(world, purpose, request, Manner::UNTIL_ANSWERED);
    }

    pub(super) fn committed(&mut self, world: &mut World, lease: LeaseId, reply: Reply) {
        let Some(leased) = self.runs.get_mut(&lease) else { return };
        let Some(Flight { request, fibers }) = leased.flight.take() else { return };
        match reply {
            Reply::Done(run) => {
                world.oracle.told_committed(&request);
                if let Some(outcome) = &request.outcome {
                    world.figures.parked += u64::from(matches!(outcome, Outcome::Suspend { .. }));
                    return self.drop_run(world, lease);
                }
                leased.next_seq = run.next_seq;
                leased.hear(run.inbox, run.cancel_asked().is_some());
                leased.pause = run.pause_asked();
                leased.recorded(world, fibers);
                self.go_on(world, lease);
            }
            Reply::Refused(error) => match (error.kind(), &request.outcome) {
                (ErrorKind::LeaseLost, _) => self.drop_run(world, lease),
                (ErrorKind::WrongState, Some(Outcome::Suspend { .. })) => {
                    // Something has arrived: it is read, and the code goes on.
                    leased.outcome = None;
                    leased.inbox = leased
                        .inbox
                        .max(leased.code.as_ref().map_or(0, |code| code.received() + 1));
                    self.go_on(world, lease);
                }
                _ => {
                    world.oracle.blamed(request.run, &error);
                    self.drop_run(world, lease);
                }
            },
            _ => {}
        }
    }
}
