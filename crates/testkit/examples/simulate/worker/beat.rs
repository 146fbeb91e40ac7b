//! Heartbeats: three in the shortest lease, each held for news, one that hangs given up.

use std::time::Duration;

use tenure_core::{LeaseId, limits};

use super::{Alarm, Purpose, Worker};
use crate::calls::Manner;
use crate::message::{News, Reply, Request};
use crate::world::World;

/// A heartbeat that is under way.
pub(super) struct Beating {
    /// When it was sent, by the worker's clock: the lease lasts from then, not from the answer.
    sent: Duration,
    leases: Vec<LeaseId>,
}

/// How often to beat.
const EVERY: Duration = Duration::from_millis(3_300);

impl Worker {
    pub(super) fn beat(&mut self, world: &mut World) {
        self.beating = None;
        if self.runs.is_empty() {
            return;
        }
        let leases = self.runs.values().map(super::leased::Leased::held).collect();
        let sent = self.clock(world);
        self.beating = Some(Beating { sent, leases: self.runs.keys().copied().collect() });
        let request = Request::Beat { worker: self.id, leases, wait: EVERY };
        let patience = Manner::once(EVERY + EVERY / 2);
        self.calls.ask(world, Purpose::Beat, request, patience);
    }

    pub(super) fn beaten(&mut self, world: &mut World, reply: Reply) {
        let beating = self.beating.as_ref().map(|beating| (beating.sent, beating.leases.clone()));
        let acknowledged = if let (Some((sent, leases)), Reply::News(news)) = (beating, reply) {
            self.acknowledge(world, sent, &leases, &news);
            true
        } else {
            false
        };
        self.runs.values_mut().for_each(|leased| leased.beat_ended(world));
        if acknowledged {
            self.beat(world);
            return self.go_on_all(world);
        }
        // `beating` stays: the next beat is already due.
        let pause = world.dice.jittered(Duration::from_millis(500));
        world.alarm(self.me, pause, Alarm::Beat);
    }

    fn acknowledge(
        &mut self,
        world: &mut World,
        sent: Duration,
        leases: &[LeaseId],
        news: &[News],
    ) {
        for piece in news {
            if piece.lost {
                self.drop_run(world, piece.lease);
            } else if let Some(leased) = self.runs.get_mut(&piece.lease) {
                leased.hear(piece.inbox, piece.cancel);
                leased.pause = piece.pause;
            }
        }
        for lease in leases {
            if let Some(leased) = self.runs.get_mut(lease) {
                leased.keep_alive(sent, limits::LEASE_TTL);
                world.oracle.told_alive(leased.run.id, *lease);
            }
        }
    }
}
