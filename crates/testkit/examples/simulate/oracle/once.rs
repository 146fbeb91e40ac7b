//! Steps that must not happen twice: on record before they begin, and begun again only when somebody
//! has decided so.

use tenure_core::{Decision, Entry, EntryStatus, Key, LeaseId, Opening, Record, RunId};

use super::effects::Execution;
use super::ledger::Ledger;
use super::{Broken, ONCE, Oracle, must};
use crate::code::{IN_DOUBT, answer_of};
use crate::message::value;

impl Oracle {
    /// Whether a step has happened, as who keeps books in the outer world would say: the number of
    /// its last execution.
    pub(crate) fn happened(&self, run: RunId, key: &Key) -> Option<u64> {
        let ledger = self.ledgers.get(&run)?;
        ledger.executions.get(key)?.last().map(|execution| execution.number)
    }
}

impl Ledger {
    /// A step that must not happen twice begins, under the current lease.
    pub(super) fn check_begin(&self, key: &Key) -> Result<(), Broken> {
        let started = self.last(key).filter(|entry| is_started(entry)).map(|entry| entry.seq);
        let Some(started) = started else {
            let what = format!("`{key}` was executed before it was on record that it starts");
            return Err(Broken(ONCE, what));
        };
        let before = self.executions.get(key).map_or(&[][..], Vec::as_slice);
        let before = before.iter().filter(|execution| !execution.late);
        let last = before.map(|execution| execution.recorded).max();
        must(last.is_none_or(|recorded| started > recorded), ONCE, || {
            format!("`{key}` was executed again and nobody had decided that")
        })
    }

    /// Whether the last question about a step in doubt was answered with: do it.
    pub(super) fn is_approved(&self, key: &Key) -> bool {
        let answer = self.last_doubt(key).and_then(|entry| answer_of(&entry.record.status));
        let started = self.last(key).map_or(0, |entry| entry.seq);
        let asked = self.last_doubt(key).map_or(0, |entry| entry.seq);
        asked > started && answer.is_some_and(|(decision, _)| decision == Decision::Approve)
    }

    /// The last answer about a step in doubt.
    fn last_doubt(&self, key: &Key) -> Option<&Entry> {
        let place = key.as_str().rfind('/').map_or(0, |slash| slash + 1);
        let (scope, step) = key.as_str().split_at(place);
        let about = |entry: &&Entry| {
            let name = entry.record.key.as_str().strip_prefix(scope);
            let name = name.filter(|name| name.starts_with("doubt:"));
            let ended = !matches!(entry.record.status, EntryStatus::Opened(_));
            ended && name.is_some_and(|name| name.trim_start_matches("doubt:") == step)
        };
        self.entries.iter().rev().find(about)
    }

    /// The result of such a step: that of an execution, whoever found out about it; or what somebody
    /// decided.
    pub(super) fn check_once(&self, record: &Record, lease: LeaseId) -> Result<(), Broken> {
        let result = value(&record.status);
        let executions = self.executions.get(&record.key).into_iter().flatten();
        let of = |execution: &Execution| execution.number.to_string().as_bytes() == result;
        let decided =
            self.last_doubt(&record.key).and_then(|entry| answer_of(&entry.record.status));
        let so = match (decided, &record.status) {
            (Some((Decision::Respond, value)), _) => value.to_string().as_bytes() == result,
            (Some((Decision::Reject, _)), EntryStatus::Failed(failure)) => failure.code == IN_DOUBT,
            _ => false,
        };
        must(so || { executions }.any(of), ONCE, || {
            let key = &record.key;
            let lease = lease.uuid().as_u128();
            format!(
                "`{key}` has a result under lease {lease} that it did not give: {:?}",
                record.status
            )
        })
    }
}

fn is_started(entry: &Entry) -> bool {
    matches!(entry.record.status, EntryStatus::Opened(Opening::Started))
}
