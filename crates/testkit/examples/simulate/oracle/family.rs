//! Runs that call runs: each call makes one run, whose end comes up once; what ends takes its
//! children with it. And messages between runs: one is dropped only when its work is done.

use tenure_core::run::{InboxItem, Parent, Topic};
use tenure_core::{
    Effect, EntryStatus, Failure, Key, Message, Opening, Payload, Run, RunId, RunState,
};

use super::ledger::Ledger;
use super::{Broken, Decided, FAMILY, Oracle, must};
use crate::store::Store;
use crate::world::number;

impl Oracle {
    /// A run was created: if it was called, that is on record, and nobody else was called so.
    pub(super) fn check_called(&mut self, run: &Run) -> Result<(), Broken> {
        let Some(Parent { run: caller, key, detached }) = run.parent.clone() else { return Ok(()) };
        let ledger = self.ledgers.get(&caller);
        let called = ledger.is_some_and(|ledger| ledger.calls(&key));
        must(called, FAMILY, || format!("nobody has called it as `{key}`"))?;
        must(detached || !self.ended.contains(&caller), FAMILY, || {
            format!("it was created when the children of run {} had been ended", number(caller))
        })?;
        let first = self.called.insert((caller, key.clone()), run.id);
        must(first.is_none(), FAMILY, || format!("`{key}` was called twice"))
    }

    /// Something was put into an inbox: if it is the end of a call, the called run has ended so.
    pub(super) fn check_received(&self, decided: &Decided) -> Result<(), Broken> {
        let run = decided.transition.run.id;
        for effect in &decided.transition.effects {
            if let Effect::Receive(InboxItem { topic: Topic::Wait(key), source, result, .. }) =
                effect
                && source.starts_with("call:")
            {
                self.check_end(run, key, result)?;
            }
        }
        Ok(())
    }

    fn check_end(
        &self,
        caller: RunId,
        key: &Key,
        told: &Result<Payload, Failure>,
    ) -> Result<(), Broken> {
        let called = self.called.get(&(caller, key.clone()));
        let state = called.and_then(|run| self.ledgers.get(run)).map(|ledger| &ledger.row.state);
        let so = match (state, told) {
            (Some(RunState::Succeeded { output, .. }), Ok(told)) => output == told,
            (Some(RunState::Failed { failure, .. }), Err(told)) => failure == told,
            (Some(RunState::Cancelled { .. }), Err(told)) => told.code == "cancelled",
            // It could not be called.
            (None, Err(told)) => told.code == "not_found",
            _ => false,
        };
        must(so, FAMILY, || {
            let state = state.map(RunState::name);
            format!("it was told that `{key}` ended as {told:?}; that is {state:?}")
        })
    }

    /// A message between runs is gone: what it says must be done.
    pub(crate) fn dropped(&mut self, store: &Store, run: RunId, message: &Message) {
        if let Message::EndChildren { .. } = message {
            self.ended.insert(run);
        }
        let done = match message {
            Message::Call { key, call } => {
                let made = call.detached && store.called(call).is_some();
                let over = self.has_ended(run) && !made;
                over || self.called.contains_key(&(run, key.clone())) || self.has_heard(run, key)
            }
            Message::Ended { parent, key, .. } => {
                self.has_ended(*parent) || self.has_heard(*parent, key)
            }
            Message::EndChildren { .. } => {
                self.ledgers.values().all(|ledger| !ledger.is_child_of(run) || ledger.is_ending())
            }
            Message::FreeTurn { key } => store.turn(key) != Some(run),
            Message::TakeTurn { key } => self.ledgers.values().all(|ledger| {
                let other = ledger.row.concurrency.as_ref() == Some(key) && ledger.row.id < run;
                !other || ledger.is_ending()
            }),
        };
        let found = must(done, FAMILY, || format!("{message:?} was dropped, and is not done"));
        self.conclude(run, found);
    }

    fn has_ended(&self, run: RunId) -> bool {
        self.ledgers.get(&run).is_none_or(|ledger| ledger.row.state.is_terminal())
    }

    fn has_heard(&self, run: RunId, key: &Key) -> bool {
        let inbox = self.ledgers.get(&run).map(|ledger| &ledger.inbox);
        inbox.is_some_and(|inbox| inbox.iter().any(|item| item.topic == Topic::Wait(key.clone())))
    }
}

impl Ledger {
    fn calls(&self, key: &Key) -> bool {
        self.entries.iter().any(|entry| {
            let opened = matches!(entry.record.status, EntryStatus::Opened(Opening::Child(_)));
            opened && entry.record.key == *key
        })
    }

    /// Whether it is to end when this run does.
    fn is_child_of(&self, run: RunId) -> bool {
        self.row.parent.as_ref().is_some_and(|parent| parent.run == run && !parent.detached)
    }

    fn is_ending(&self) -> bool {
        self.row.state.is_terminal() || self.row.cancel_asked().is_some()
    }
}
