//! What must hold in every state, by the names of `docs/architecture.md`.

use stateright::Property;

use crate::network::Message;
use crate::program::Saved;
use crate::row::{MAX_ATTEMPTS, Phase};
use crate::steps::Setup;
use crate::worker::Worker;
use crate::world::{Bounds, Broken, World};

pub(crate) const ONE_WRITER: &str = "ONE-WRITER";
pub(crate) const NO_GAP: &str = "NO-GAP";
pub(crate) const FIRST_WINS: &str = "FIRST-WINS";
pub(crate) const FINAL: &str = "FINAL";
pub(crate) const NO_LOST_WAKE: &str = "NO-LOST-WAKE";
/// What was acknowledged is in the journal. It stays there: no effect of a rule takes an entry away,
/// and FIRST-WINS says that none is written over it.
pub(crate) const ACKNOWLEDGED: &str = "acknowledged is recorded";
/// Who keeps to the protocol is never told `ALREADY_EXISTS`, nor `FAILED_PRECONDITION` but for a
/// suspend.
pub(crate) const BLAMELESS: &str = "the protocol is enough";
pub(crate) const QUEUE: &str = "a queue row exactly while queued";

pub(crate) fn all() -> Vec<Property<Setup>> {
    vec![
        Property::always(ONE_WRITER, |_, world: &World| one_writer(world)),
        Property::always(NO_GAP, |_, world: &World| no_gap(world)),
        Property::always(FIRST_WINS, |_, world: &World| first_wins(world)),
        Property::always(FINAL, |_, world: &World| world.broken != Some(Broken::Revived)),
        Property::always(NO_LOST_WAKE, no_lost_wake),
        Property::always(ACKNOWLEDGED, |_, world: &World| world.broken != Some(Broken::Forgotten)),
        Property::always(BLAMELESS, |_, world: &World| world.broken != Some(Broken::Blamed)),
        Property::always(QUEUE, |_, world: &World| {
            world.queued == matches!(world.row.phase, Phase::Queued { .. })
        }),
        // A model in which nothing happens breaks nothing.
        Property::sometimes("succeeded", |_, world: &World| world.row.phase == Phase::Succeeded),
        Property::sometimes("parked", |_, world: &World| world.row.phase == Phase::Waiting),
        Property::sometimes("late", |_, world: &World| late(world)),
        Property::sometimes("cancelled", |setup: &Setup, world: &World| {
            setup.bounds.cancels == 0 || world.row.phase == Phase::Cancelled
        }),
        Property::sometimes("exhausted", |setup: &Setup, world: &World| {
            let Bounds { crashes, expiries, .. } = setup.bounds;
            u32::from(crashes + expiries) < MAX_ATTEMPTS || world.row.phase == Phase::Failed
        }),
    ]
}

fn one_writer(world: &World) -> bool {
    world.broken != Some(Broken::Stranger) && world.journal.is_sorted_by_key(|entry| entry.epoch)
}

fn no_gap(world: &World) -> bool {
    let seqs = world.journal.iter().map(|entry| entry.seq);
    seqs.eq(1..world.row.next_seq)
}

/// Each key once, and whoever has seen an entry has seen what is there.
fn first_wins(world: &World) -> bool {
    let again = |(place, entry): (usize, &Saved)| {
        world.journal[..place].iter().any(|other| other.result.step == entry.result.step)
    };
    let unchanged = |worker: &Worker| {
        worker.held().is_none_or(|held| {
            let recorded = world.journal.iter().map(|entry| &entry.result);
            held.journal.iter().eq(recorded.take(held.journal.len()))
        })
    };
    world.broken != Some(Broken::Overwritten)
        && !world.journal.iter().enumerate().any(again)
        && world.workers.iter().all(unchanged)
}

/// The run does not sleep on what it waits for.
fn no_lost_wake(setup: &Setup, world: &World) -> bool {
    world.row.phase != Phase::Waiting || world.row.inbox < setup.signals
}

/// A request of somebody who was replaced is still on its way.
fn late(world: &World) -> bool {
    let stale = |message: &Message| match message {
        Message::Ask(request) => world.row.lease().is_some_and(|lease| request.lease() < lease),
        Message::Answer(..) => false,
    };
    world.network.iter().any(stale)
}
