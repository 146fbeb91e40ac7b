//! What clients and workers were told: it must be so, and stay so.

use tenure_core::steering::Steer;
use tenure_core::{Entry, Error, LeaseId, Run, RunId};

use super::{ACKED_RUNS, ACKNOWLEDGED, BLAMELESS, Broken, FINAL, FIRST_WINS, Oracle, must};
use crate::message::CommitRequest;
use crate::world::number;

impl Oracle {
    /// A client was told that its request made this run.
    pub(crate) fn told_created(&mut self, key: &str, run: RunId) {
        let made = self.keys.get(key).copied();
        let there = made == Some(run) && self.ledgers.contains_key(&run);
        let found = must(there, ACKED_RUNS, || {
            let made = made.map(number);
            format!("key `{key}` was answered with it; what the key created is {made:?}")
        });
        self.conclude(run, found);
    }

    /// A client was told that its signal is in the inbox.
    pub(crate) fn told_delivered(&mut self, run: RunId, source: &str) {
        let ledger = self.ledgers.get(&run);
        let mut inbox = ledger.into_iter().flat_map(|ledger| &ledger.inbox);
        let there = inbox.any(|item| item.source == source);
        let found = must(there, ACKNOWLEDGED, || {
            format!("signal `{source}` was acknowledged and is not in the inbox")
        });
        self.conclude(run, found);
    }

    /// A client was told that it has intervened.
    pub(crate) fn told_steered(&mut self, run: RunId, steer: Steer) {
        let Some(ledger) = self.ledgers.get(&run) else { return };
        let row = &ledger.row;
        let there = match steer {
            Steer::Cancel => row.cancel_asked().is_some() || row.state.is_terminal(),
            Steer::Pause => !ledger.paused || ledger.rests_or_will(),
            Steer::Resume | Steer::Retry | Steer::Patch | Steer::Prioritize => true,
        };
        let what = || format!("a {} was acknowledged and forgotten", steer.as_str());
        let found = must(there, ACKNOWLEDGED, what);
        self.conclude(run, found);
    }

    /// A client's request was refused for the state of the run: it must have ended.
    pub(crate) fn told_ended(&mut self, run: RunId, error: &Error) {
        let row = self.ledgers.get(&run).map(|ledger| &ledger.row);
        let ended = row.is_some_and(|row| row.state.is_terminal());
        let found = must(ended, ACKNOWLEDGED, || format!("a signal was refused: {error}"));
        self.conclude(run, found);
    }

    /// Somebody has read these entries, and the row if it was asked for.
    pub(crate) fn read(&mut self, run: &Run, entries: &[Entry]) {
        let Some(ledger) = self.ledgers.get(&run.id) else { return };
        let changed = |entry: &&Entry| {
            let place = usize::try_from(entry.seq).unwrap_or(0).wrapping_sub(1);
            ledger.entries.get(place) != Some(*entry)
        };
        let mut found = match entries.iter().find(changed) {
            None => Ok(()),
            Some(entry) => {
                let (seq, key) = (entry.seq, &entry.record.key);
                Err(Broken(FIRST_WINS, format!("entry {seq} `{key}` was read, and is another")))
            }
        };
        let ended = run.state.is_terminal();
        if ended && run.state != ledger.row.state {
            let (read, now) = (run.state.name(), ledger.row.state.name());
            found = Err(Broken(FINAL, format!("it was read as {read} and is {now}")));
        }
        self.conclude(run.id, found);
    }

    /// A worker was told that its commit is done.
    pub(crate) fn told_committed(&mut self, commit: &CommitRequest) {
        let Some(ledger) = self.ledgers.get(&commit.run) else { return };
        let first = usize::try_from(commit.expected_seq).unwrap_or(usize::MAX) - 1;
        let entries = ledger.entries.iter().skip(first).map(|entry| &entry.record);
        let recorded = entries.take(commit.records.len()).eq(&commit.records);
        let mut found = must(recorded, ACKNOWLEDGED, || {
            let (first, records) = (commit.expected_seq, commit.records.len());
            format!("{records} records from entry {first} on were acknowledged; others are there")
        });
        if commit.outcome.is_some() && ledger.owner() == Some(commit.lease) {
            let what = "an outcome was acknowledged, and its lease goes on".to_owned();
            found = Err(Broken(ACKNOWLEDGED, what));
        }
        self.conclude(commit.run, found);
    }

    /// A worker's heartbeat was acknowledged.
    pub(crate) fn told_alive(&mut self, run: RunId, lease: LeaseId) {
        let owner = self.ledgers.get_mut(&run).and_then(|ledger| ledger.owner.as_mut());
        if let Some(owner) = owner.filter(|owner| owner.lease == lease) {
            owner.acknowledged = true;
        }
    }

    /// A worker that keeps to the protocol was told that it does not.
    pub(crate) fn blamed(&mut self, run: RunId, error: &Error) {
        let what = format!("a worker that keeps to the protocol was told: {error}");
        self.violated(BLAMELESS, Some(run), what);
    }
}
