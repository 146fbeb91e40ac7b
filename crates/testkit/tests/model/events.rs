//! What may happen, and what it costs.

use crate::network::Message;
use crate::world::{Bounds, World};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Happens {
    // In the control plane and to its clients.
    /// The worker polls and gets the run; or its offer is lost on the way.
    Lease {
        worker: u8,
        lost: bool,
    },
    /// The control plane believes that the poller has gone.
    Withdraw,
    Signal,
    Cancel,
    Sweep,
    /// The first half of a sweep, in the variant that has two.
    SweepReads,
    // In the network.
    Deliver(Message),
    /// It arrives and is still on its way.
    DeliverCopy(Message),
    Lose(Message),
    // In a worker.
    Repeat(u8),
    Beat(u8),
    ReadInbox(u8),
    Suspend(u8),
    Drain(u8),
    Crash(u8),
    // To the clock: what was to come has come.
    LeaseTimeIsUp,
    GraceIsOver,
    PauseIsOver,
}

/// What goes wrong, what passes, and what a worker does on its own.
pub(crate) fn unasked(world: &World, next: &mut Vec<Happens>) {
    next.extend([Happens::LeaseTimeIsUp, Happens::GraceIsOver, Happens::PauseIsOver]);
    next.extend(world.network.iter().map(|message| Happens::Lose(*message)));
    for worker in 0..2 {
        next.extend([Happens::ReadInbox(worker), Happens::Suspend(worker)]);
        next.extend([Happens::Beat(worker), Happens::Drain(worker), Happens::Crash(worker)]);
        next.push(Happens::Lease { worker, lost: true });
    }
}

/// What is taken from, if this happens.
pub(crate) fn price<'a>(left: &'a mut Bounds, what: &Happens) -> Option<&'a mut u8> {
    match what {
        Happens::Cancel => Some(&mut left.cancels),
        Happens::DeliverCopy(_) => Some(&mut left.copies),
        Happens::Lose(_) | Happens::Lease { lost: true, .. } => Some(&mut left.losses),
        Happens::Beat(_) => Some(&mut left.beats),
        Happens::Drain(_) => Some(&mut left.drains),
        Happens::Crash(_) => Some(&mut left.crashes),
        // Two more are free, unless they come too early.
        _ => None,
    }
}

/// Takes one of what is left, if something is.
pub(crate) fn spend(left: &mut u8) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}
