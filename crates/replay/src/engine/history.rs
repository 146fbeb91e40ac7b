//! What a journal says, key by key: where each step and wait stands after all of its entries.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tenure_core::{
    Entry, EntryKind, EntryStatus, Error, Key, Opening, Record, Result, Timestamp, Usage,
};

use super::{SIGNAL, step_name};
use crate::mismatch::{Mismatch, Side};

/// What the journal has and the code has not asked for yet.
#[derive(Debug, Default)]
pub(super) struct History {
    /// How many entries the journal has.
    entries: u64,
    /// The keys in the order in which the journal first had them. Code mostly asks in that order, and
    /// then what it asks for lies where it is looked for first.
    places: Vec<Place>,
    index: HashMap<Key, usize>,
    /// Behind the place that was asked for last.
    next: usize,
    /// How many places were not asked for.
    unused: usize,
    /// How many signals the journal says were taken from this run's inbox, by the name of the wait.
    taken: HashMap<String, u64>,
    /// Waits that have their result, or were given one.
    closed: HashSet<Key>,
    /// Bytes of results that are still kept; any number if there is none.
    room: Option<usize>,
    /// What the runs that were called have used, by the call.
    used: HashMap<Key, Usage>,
}

/// A key, and where it stands unless it was asked for.
#[derive(Debug)]
struct Place {
    key: Key,
    recorded: Option<Recorded>,
}

/// Where one key stands.
#[derive(Debug)]
pub(super) struct Recorded {
    /// The place of its last entry…
    pub(super) seq: u64,
    /// …and when that was committed.
    pub(super) at: Timestamp,
    pub(super) state: State,
    /// What was asked for. `None` if that does not matter: somebody gave it a result, whatever is
    /// asked; or what was tried does not count.
    pub(super) side: Option<Side>,
}

/// What the entries under a key come to.
#[derive(Debug)]
pub(super) enum State {
    /// It has this result.
    Ended(EntryStatus),
    /// It has succeeded; the last entry has the result, which was too much to keep.
    Elsewhere,
    /// It was opened and has no result.
    Open,
    /// It failed and is to be executed again, after a pause since the entry.
    Again {
        /// The attempt that is next.
        attempt: u32,
        pause: Duration,
    },
}

impl History {
    pub(super) fn with_capacity(entries: usize) -> Self {
        let (places, index) = (Vec::with_capacity(entries), HashMap::with_capacity(entries));
        Self { places, index, ..Self::default() }
    }

    /// Keeps no more than so many bytes of results.
    pub(super) fn keep(&mut self, bytes: usize) {
        self.room = Some(bytes);
    }

    /// Reads the next entries of a journal. One whose `seq` are not 1..n, or that has two results that
    /// count under one key, was not read whole or is damaged.
    pub(super) fn read(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<()> {
        for entry in entries {
            self.entries += 1;
            if entry.seq != self.entries {
                let (seq, place) = (entry.seq, self.entries);
                return Err(Error::internal(format!("entry {seq} stands in place {place}")));
            }
            // The system's own entries are for people.
            if !entry.record.key.is_reserved() {
                self.remember(entry)?;
            }
        }
        Ok(())
    }

    /// How many entries were read.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    fn remember(&mut self, entry: Entry) -> Result<()> {
        let Entry { seq, epoch, at, record } = entry;
        let key = record.key.clone();
        self.use_up(&record);
        // Nobody owned the run when its journal was copied: that took signals of another run.
        if epoch > 0 && takes_signal(&record) {
            *self.taken.entry(step_name(&key).to_owned()).or_default() += 1;
        }
        let before = self.recorded(&key);
        let was_open = before.is_some_and(|before| matches!(before.state, State::Open));
        let given = record.kind == EntryKind::Steering;
        let side = Side { kind: record.kind, input: record.input };
        let state = if given {
            State::Ended(record.status)
        } else {
            follow(before, &side, record).ok_or_else(|| twice(&key))?
        };
        if given || (was_open && matches!(state, State::Ended(_))) {
            self.closed.insert(key.clone());
        }
        let state = if given { state } else { self.kept(state) };
        let counts = !given && !matches!(state, State::Again { .. });
        self.set(key, Recorded { seq, at, state, side: counts.then_some(side) });
        Ok(())
    }

    /// The state, without a result for which there is no room.
    fn kept(&mut self, state: State) -> State {
        let (State::Ended(EntryStatus::Succeeded(payload)), Some(room)) = (&state, &mut self.room)
        else {
            return state;
        };
        match room.checked_sub(payload.data.len()) {
            Some(left) => {
                *room = left;
                state
            }
            None => State::Elsewhere,
        }
    }

    fn recorded(&self, key: &Key) -> Option<&Recorded> {
        self.places[*self.index.get(key)?].recorded.as_ref()
    }

    fn set(&mut self, key: Key, recorded: Recorded) {
        let place = *self.index.entry(key.clone()).or_insert(self.places.len());
        if place == self.places.len() {
            self.places.push(Place { key, recorded: None });
            self.unused += 1;
        }
        self.places[place].recorded = Some(recorded);
    }

    /// What the journal has under this key, if it is what is asked for. Each key is asked for once,
    /// so it is given away: a long replay does not hold payloads that were used.
    pub(super) fn take(
        &mut self,
        key: &Key,
        found: &Side,
    ) -> std::result::Result<Option<Recorded>, Box<Mismatch>> {
        let recorded = self.remove(key);
        let side = recorded.as_ref().and_then(|recorded| recorded.side.clone());
        match side.filter(|side| side != found) {
            None => Ok(recorded),
            Some(expected) => {
                let (key, found) = (key.clone(), found.clone());
                Err(Box::new(Mismatch { key, expected, found }))
            }
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Recorded> {
        let expected = self.places.get(self.next).is_some_and(|place| place.key == *key);
        let place = if expected { self.next } else { *self.index.get(key)? };
        let recorded = self.places[place].recorded.take()?;
        self.next = place + 1;
        self.unused -= 1;
        if self.unused == 0 {
            // The replay is over, and the run may go on for long.
            (self.places, self.index) = Default::default();
        }
        Some(recorded)
    }

    /// The place of the last entry under this key, if the code has not asked for it.
    pub(super) fn place(&self, key: &Key) -> Option<u64> {
        Some(self.recorded(key)?.seq)
    }

    /// How many keys the code has not asked for.
    pub(super) fn unused(&self) -> usize {
        self.unused
    }

    /// Whether this signal is one of those that the journal says were taken. They were taken in
    /// order, so the journal need not say which it was.
    pub(super) fn was_taken(&mut self, wait: &str) -> bool {
        match self.taken.get_mut(wait) {
            Some(taken) if *taken > 0 => {
                *taken -= 1;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Remembers what a called run has used.
    pub(super) fn use_up(&mut self, record: &Record) {
        if let (EntryKind::Child, Some(usage)) = (record.kind, &record.usage) {
            self.used.insert(record.key.clone(), usage.clone());
        }
    }

    /// What a called run has used, as far as the journal says.
    pub(super) fn used(&self, call: &Key) -> Usage {
        self.used.get(call).cloned().unwrap_or_default()
    }

    /// Whether this wait has its result, so that another one comes too late.
    pub(super) fn is_closed(&self, wait: &Key) -> bool {
        self.closed.contains(wait)
    }

    /// A wait has its result.
    pub(super) fn close(&mut self, wait: Key) {
        self.closed.insert(wait);
    }
}

fn twice(key: &Key) -> Error {
    Error::internal(format!("entry `{key}` is in the journal once too often"))
}

fn takes_signal(record: &Record) -> bool {
    record.kind == EntryKind::Wait
        && matches!(record.status, EntryStatus::Succeeded(_))
        && step_name(&record.key).starts_with(SIGNAL)
}

/// What a key comes to with one more entry; `None` if that cannot follow what was there before.
fn follow(before: Option<&Recorded>, side: &Side, record: Record) -> Option<State> {
    let Record { status, attempt, duration, .. } = record;
    let unlike = before.and_then(|before| before.side.as_ref()).is_some_and(|own| own != side);
    match (before.map(|before| &before.state), status) {
        (Some(State::Open), EntryStatus::Opened(Opening::Started)) if !unlike => Some(State::Open),
        (
            None | Some(State::Again { .. } | State::Ended(EntryStatus::Failed(_))),
            EntryStatus::Opened(Opening::Again),
        ) => Some(State::Again { attempt, pause: duration }),
        (None | Some(State::Again { .. }), EntryStatus::Opened(_)) => Some(State::Open),
        (Some(State::Open), ended @ (EntryStatus::Succeeded(_) | EntryStatus::Failed(_)))
            if !unlike =>
        {
            Some(State::Ended(ended))
        }
        (
            None | Some(State::Again { .. }),
            ended @ (EntryStatus::Succeeded(_) | EntryStatus::Failed(_)),
        ) => Some(State::Ended(ended)),
        (Some(State::Open | State::Ended(_) | State::Elsewhere), _)
        | (_, EntryStatus::Steered(_)) => None,
    }
}
