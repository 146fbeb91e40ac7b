//! The model's lists of interrupts, and copies of journals.

use std::collections::HashSet;

use tenure_core::{
    Entry, EntryKind, EntryStatus, Interrupt, InterruptId, InterruptState, Key, Run, RunId,
    TenantId, Timestamp,
};
use tenure_store::{InterruptFilter, Prefix, Result};

use super::state::State;

impl State {
    pub(super) fn list_interrupts(
        &self,
        tenant: TenantId,
        filter: &InterruptFilter,
        after: Option<(Timestamp, InterruptId)>,
    ) -> Vec<Interrupt> {
        let mut found: Vec<_> = self.interrupts.values().cloned().collect();
        found.retain(|interrupt| interrupt.tenant == tenant && passes(filter, interrupt));
        found.retain(|found| after.is_none_or(|after| (found.opened_at, found.id) > after));
        found.sort_by_key(|found| (found.opened_at, found.id));
        found
    }

    /// Of those that are due, the first `limit`, and of these the first of each run.
    pub(super) fn due(&self, limit: usize) -> Vec<(Run, Interrupt)> {
        let open = self.interrupts.values().filter(|found| found.state == InterruptState::Open);
        let mut due: Vec<_> =
            open.filter(|open| open.due_at.is_some_and(|due_at| due_at <= self.now)).collect();
        due.sort_by_key(|due| (due.due_at, due.tenant, due.id));
        due.truncate(limit);
        let mut runs = HashSet::new();
        due.retain(|due| runs.insert((due.tenant, due.run)));
        let pair =
            |due: &Interrupt| Some((self.runs.get(&(due.tenant, due.run))?.clone(), due.clone()));
        due.into_iter().filter_map(pair).collect()
    }

    pub(super) fn copy_journal(
        &mut self,
        tenant: TenantId,
        from: RunId,
        to: RunId,
        prefix: &Prefix,
    ) -> Result<Option<u64>> {
        let entries = self.entries(tenant, from);
        let first = |key: &Key| entries.iter().find(|entry| entry.record.key == *key);
        let stop = match prefix.before.as_ref().map(first) {
            None => u64::MAX,
            Some(Some(entry)) => entry.seq,
            Some(None) => return Ok(None),
        };
        let copies = needed(prefix, stop, entries);
        let count = copies.len() as u64;
        for (copy, seq) in copies.into_iter().zip(1..) {
            self.append(tenant, to, &Entry { seq, epoch: 0, ..copy })?;
        }
        Ok(Some(count))
    }
}

/// Of the entries that a copy may have, the last of each key, if that is a result that is wanted.
fn needed(prefix: &Prefix, stop: u64, mut entries: Vec<Entry>) -> Vec<Entry> {
    let later_tool = |entry: &Entry| {
        prefix.tools
            && entry.record.kind == EntryKind::Tool
            && is_result(entry)
            && prefix.before.as_ref() != Some(&entry.record.key)
    };
    entries.retain(|entry| !matches!(entry.record.status, EntryStatus::Steered(_)));
    entries.retain(|entry| entry.seq < stop || later_tool(entry));
    let mut keys = HashSet::new();
    entries.reverse();
    entries.retain(|entry| keys.insert(entry.record.key.clone()));
    entries.reverse();
    entries.retain(|entry| is_result(entry) && !left_out(prefix, entry));
    entries
}

fn is_result(entry: &Entry) -> bool {
    matches!(entry.record.status, EntryStatus::Succeeded(_) | EntryStatus::Failed(_))
}

fn left_out(prefix: &Prefix, entry: &Entry) -> bool {
    let (EntryStatus::Failed(failure), Some(without)) = (&entry.record.status, &prefix.without)
    else {
        return false;
    };
    (&failure.code, &failure.message) == (&without.code, &without.message)
}

fn passes(filter: &InterruptFilter, interrupt: &Interrupt) -> bool {
    (filter.all || interrupt.state == InterruptState::Open)
        && filter.agent.is_none_or(|agent| agent == interrupt.agent)
        && filter.run.is_none_or(|run| run == interrupt.run)
        && filter.assignee.as_ref().is_none_or(|name| *name == interrupt.question.assignee)
        && filter.opened_before.is_none_or(|before| interrupt.opened_at < before)
}
