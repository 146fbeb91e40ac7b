//! Streams: what the steps of runs say while they are executed, passed on to those who follow.
//!
//! Nothing is kept: an event of a run that nobody follows is dropped where it arrives, and a follower
//! who is slower than his run misses the oldest, holds up nobody, and is told how many. To other
//! processes an event goes only while somebody there says that he watches the run, on a channel of
//! that run alone (WALL).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenure_core::{StreamEvent, limits};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::carrier::{Carrier, Place, StreamEar};

/// Events that may wait for the carrier; more are dropped.
const OUTBOX: usize = 1_000;
/// Events that are sent together.
const BATCH: usize = 100;
/// Changes of what is followed that may wait for the carrier; what is lost is only latency of nothing:
/// a follower whose change is dropped misses what happens elsewhere.
const CHANGES: usize = 10_000;

/// Who follows what.
pub(crate) struct Streams {
    here: Arc<Here>,
    remote: mpsc::Sender<(Place, StreamEvent)>,
    ways: Mutex<Option<Ways>>,
}

/// Where what is for the carrier comes out.
struct Ways {
    events: mpsc::Receiver<(Place, StreamEvent)>,
    changes: mpsc::Receiver<(Place, bool)>,
}

/// The followers in this process.
struct Here {
    followed: Mutex<HashMap<Place, broadcast::Sender<StreamEvent>>>,
    changes: mpsc::Sender<(Place, bool)>,
}

/// Hears the events of one run, until it is dropped.
pub(crate) struct Follower {
    here: Arc<Here>,
    place: Place,
    events: broadcast::Receiver<StreamEvent>,
    /// The highest epoch that was heard of: what an earlier owner still says is old.
    epoch: u64,
}

/// What a follower hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// An event.
    Event(StreamEvent),
    /// So many events are gone.
    Missed(u64),
}

impl Streams {
    pub(crate) fn new() -> Self {
        let (remote, events) = mpsc::channel(OUTBOX);
        let (changed, changes) = mpsc::channel(CHANGES);
        let here = Arc::new(Here { followed: Mutex::default(), changes: changed });
        Self { here, remote, ways: Mutex::new(Some(Ways { events, changes })) }
    }

    /// Follows a run from now on.
    pub(crate) fn follow(&self, place: Place) -> Follower {
        let events = match self.here.lock().entry(place) {
            Entry::Occupied(followed) => followed.get().subscribe(),
            Entry::Vacant(first) => {
                // Full means that the carrier is slow: then this process only hears its own workers.
                let _ = self.here.changes.try_send((place, true));
                first.insert(broadcast::Sender::new(limits::STREAM_BUFFER)).subscribe()
            }
        };
        Follower { here: self.here.clone(), place, events, epoch: 0 }
    }

    /// Passes an event on, here, and elsewhere if somebody watches there.
    pub(crate) fn publish(&self, place: Place, event: StreamEvent, elsewhere: bool) {
        if elsewhere {
            // Full means that the carrier is slow, closed that this replica is shutting down.
            let _ = self.remote.try_send((place, event.clone()));
        }
        self.here.tell(place, event);
    }

    /// Carries events from and to other processes, until `shutdown`.
    pub(crate) async fn exchange(&self, carrier: &dyn Carrier, shutdown: &CancellationToken) {
        let ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Ways { events, changes }) = ways else { return };
        let here = self.here.clone();
        let ear: StreamEar = Arc::new(move |place, event| here.tell(place, event));
        let all = async { tokio::join!(send(carrier, events), follow(carrier, changes, ear)) };
        tokio::select! {
            _ = all => {}
            () = shutdown.cancelled() => {}
        }
    }
}

async fn send(carrier: &dyn Carrier, mut events: mpsc::Receiver<(Place, StreamEvent)>) {
    let mut gathered = Vec::new();
    while events.recv_many(&mut gathered, BATCH).await > 0 {
        // What is lost is lost.
        let _ = carrier.publish(&gathered).await;
        gathered.clear();
    }
}

/// Tells the carrier what is followed here, in the order in which that changed.
async fn follow(carrier: &dyn Carrier, mut changes: mpsc::Receiver<(Place, bool)>, ear: StreamEar) {
    carrier.hear(ear);
    while let Some((place, followed)) = changes.recv().await {
        carrier.follow(place, followed).await;
    }
}

impl Here {
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, broadcast::Sender<StreamEvent>>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, place: Place, event: StreamEvent) {
        if let Some(followers) = self.lock().get(&place) {
            // It fails if the last of them is just going.
            let _ = followers.send(event);
        }
    }
}

impl Follower {
    /// What is said next; never ends.
    pub(crate) async fn next(&mut self) -> Said {
        loop {
            match self.events.recv().await {
                Ok(event) if event.epoch < self.epoch => {}
                Ok(event) => {
                    self.epoch = event.epoch;
                    return Said::Event(event);
                }
                Err(RecvError::Lagged(missed)) => return Said::Missed(missed),
                // The sender goes after its last follower.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut followed = self.here.lock();
        // Its own receiver goes after this, and nobody comes while the map is locked.
        if followed.get(&self.place).is_some_and(|events| events.receiver_count() <= 1) {
            followed.remove(&self.place);
            let _ = self.here.changes.try_send((self.place, false));
        }
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::{RunId, TenantId};
    use uuid::Uuid;

    use super::*;

    fn place(number: u128) -> Place {
        (TenantId::new(Uuid::nil()), RunId::new(Uuid::from_u128(number)))
    }

    fn event(epoch: u64, index: u64) -> StreamEvent {
        StreamEvent {
            key: "model".parse().unwrap(),
            epoch,
            attempt: 1,
            index,
            kind: "token".into(),
            content_type: "text/plain".into(),
            data: "so".into(),
        }
    }

    #[tokio::test]
    async fn who_follows_hears_his_run_and_no_other() {
        let streams = Streams::new();
        let mut follower = streams.follow(place(1));
        streams.publish(place(2), event(1, 0), false);
        streams.publish(place(1), event(2, 0), false);
        streams.publish(place(1), event(1, 5), false);
        streams.publish(place(1), event(2, 1), false);
        assert_eq!(follower.next().await, Said::Event(event(2, 0)));
        // What the owner before still says is left out.
        assert_eq!(follower.next().await, Said::Event(event(2, 1)));
    }

    #[tokio::test]
    async fn who_is_slow_is_told_how_much_he_missed() {
        let streams = Streams::new();
        let mut follower = streams.follow(place(1));
        let all = limits::STREAM_BUFFER as u64 + 3;
        for index in 0..all {
            streams.publish(place(1), event(1, index), false);
        }
        assert_eq!(follower.next().await, Said::Missed(3));
        assert_eq!(follower.next().await, Said::Event(event(1, 3)));
    }

    #[tokio::test]
    async fn nothing_is_kept_when_the_last_has_gone() {
        let streams = Streams::new();
        let (one, two) = (streams.follow(place(1)), streams.follow(place(1)));
        drop(one);
        assert_eq!(streams.here.lock().len(), 1);
        drop(two);
        assert_eq!(streams.here.lock().len(), 0);
    }

    #[tokio::test]
    async fn what_nobody_carries_does_not_pile_up() {
        let streams = Streams::new();
        for index in 0..5_000 {
            streams.publish(place(1), event(1, index), true);
        }
        assert_eq!(streams.remote.capacity(), 0);
    }
}
