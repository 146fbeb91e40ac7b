//! What is written: core values taken apart into the columns that both databases have.
//!
//! Numbers are bound as signed 64 bits, saturating: that is what both databases keep, and no rule
//! depends on a larger one.

mod interrupt;
mod message;
mod record;
mod run;
mod spent;

use std::time::Duration;

pub(crate) use interrupt::{CloseColumns, EndColumns, InterruptColumns};
pub(crate) use message::MessageColumns;
pub(crate) use record::{EntryColumns, ItemColumns};
pub(crate) use run::{InputColumns, ReadyColumns, RunColumns};
pub(crate) use spent::{HoldColumns, MOST, SpentColumns};
use tenure_core::agent::AliasTarget;
use tenure_core::{Change, Effect, EntryStatus, Failure, Payload, Timestamp, Transition, Usage};

/// Everything that transitions write, by table.
#[derive(Default)]
pub(crate) struct Changes<'a> {
    pub created: Vec<RunColumns<'a>>,
    pub updated: Vec<RunColumns<'a>>,
    /// Runs that only [advance](tenure_core::Change::Advance).
    pub advanced: Vec<RunColumns<'a>>,
    pub inputs: Vec<InputColumns<'a>>,
    pub entries: Vec<EntryColumns<'a>>,
    /// Results of steps that succeeded and consumed nothing, which most entries are.
    pub results: Vec<EntryColumns<'a>>,
    pub received: Vec<ItemColumns<'a>>,
    pub opened: Vec<InterruptColumns<'a>>,
    pub ended: Vec<EndColumns<'a>>,
    pub closed: Vec<CloseColumns>,
    pub posted: Vec<MessageColumns<'a>>,
    pub enqueued: Vec<ReadyColumns<'a>>,
    pub dequeued: Vec<ReadyColumns<'a>>,
    pub spent: Vec<SpentColumns<'a>>,
    pub released: Vec<HoldColumns<'a>>,
}

impl<'a> Changes<'a> {
    /// Sorts what the transitions cause by table.
    pub(crate) fn of(transitions: &'a [Transition]) -> Self {
        let mut changes = Self::default();
        for transition in transitions {
            changes.add(transition);
        }
        changes.spent = SpentColumns::sum(changes.spent);
        changes
    }

    fn add(&mut self, transition: &'a Transition) {
        let run = &transition.run;
        let columns = RunColumns::of(run, transition.before);
        match (transition.before, transition.change) {
            (None, _) => self.created.push(columns),
            (Some(_), Change::Whole) => self.updated.push(columns),
            (Some(_), Change::Advance) => self.advanced.push(columns),
        }
        // Transitions can be joined, so a run may enter the queue and leave it in one: the last
        // one counts.
        let mut queued = None;
        for effect in &transition.effects {
            match effect {
                Effect::Open { input, labels } => {
                    self.inputs.push(InputColumns::of(run, input, labels));
                }
                Effect::Append(entry) => {
                    let plain = entry.record.usage.is_none()
                        && matches!(entry.record.status, EntryStatus::Succeeded(_));
                    let entries = if plain { &mut self.results } else { &mut self.entries };
                    entries.push(EntryColumns::of(run, entry));
                    self.spent.extend(SpentColumns::of(run, entry));
                    self.released.extend(HoldColumns::of(run, entry));
                }
                Effect::Receive(item) => self.received.push(ItemColumns::of(run, item)),
                Effect::OpenInterrupt(interrupt) => {
                    self.opened.push(InterruptColumns::of(interrupt));
                }
                Effect::EndInterrupt { id, state } => {
                    self.ended.push(EndColumns::of(run, *id, state));
                }
                Effect::CloseInterrupts { at } => self.closed.push(CloseColumns::of(run, *at)),
                Effect::Post { number, message } => {
                    self.posted.push(MessageColumns::of(run, *number, message));
                }
                Effect::Enqueue { ready_at } => queued = Some(Some(*ready_at)),
                Effect::Dequeue => queued = Some(None),
                Effect::WakeOwner(_) | Effect::WakeWatchers => {}
            }
        }
        match queued {
            Some(Some(ready_at)) => self.enqueued.push(ReadyColumns::of(run, ready_at)),
            // A new run never had a place in the queue.
            Some(None) if transition.before.is_none() => {}
            Some(None) => self.dequeued.push(ReadyColumns::of(run, Timestamp::default())),
            None => {}
        }
    }
}

/// The three columns of a payload; all of them null when there is none.
#[derive(Clone, Copy, Default)]
pub(crate) struct PayloadColumns<'a> {
    pub content_type: Option<&'a str>,
    pub encoding: Option<&'a str>,
    pub data: Option<&'a [u8]>,
}

impl<'a> PayloadColumns<'a> {
    pub(crate) fn of(payload: &'a Payload) -> Self {
        Self {
            content_type: Some(&payload.content_type),
            encoding: Some(&payload.encoding),
            data: Some(&payload.data),
        }
    }
}

/// The three columns of a failure; all of them null when there is none.
#[derive(Clone, Copy, Default)]
pub(crate) struct FailureColumns<'a> {
    pub code: Option<&'a str>,
    pub message: Option<&'a str>,
    pub retryable: Option<bool>,
}

impl<'a> FailureColumns<'a> {
    fn of(failure: &'a Failure) -> Self {
        Self {
            code: Some(&failure.code),
            message: Some(&failure.message),
            retryable: Some(failure.retryable),
        }
    }
}

/// The columns of a result: those of the payload, or those of the failure.
fn result(result: &Result<Payload, Failure>) -> (PayloadColumns<'_>, FailureColumns<'_>) {
    match result {
        Ok(payload) => (PayloadColumns::of(payload), FailureColumns::default()),
        Err(failure) => (PayloadColumns::default(), FailureColumns::of(failure)),
    }
}

/// The columns of a usage; all of them null when there is none.
#[derive(Clone, Copy, Default)]
pub(crate) struct UsageColumns<'a> {
    pub model: Option<&'a str>,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub cached_tokens: Option<i64>,
    pub reasoning_tokens: Option<i64>,
    pub cost_micros: Option<i64>,
    pub tool_calls: Option<i64>,
}

impl<'a> UsageColumns<'a> {
    fn of(usage: &'a Usage) -> Self {
        Self {
            model: Some(&usage.model),
            input_tokens: Some(int(usage.input_tokens)),
            output_tokens: Some(int(usage.output_tokens)),
            cached_tokens: Some(int(usage.cached_tokens)),
            reasoning_tokens: Some(int(usage.reasoning_tokens)),
            cost_micros: Some(cost(usage)),
            tool_calls: Some(int(usage.tool_calls)),
        }
    }
}

/// The cost and whether it is all of it, in one column: where it is not, minus one more than what is
/// known. A column more would be one more to send with every commit.
fn cost(usage: &Usage) -> i64 {
    let known = int(usage.cost_micros);
    if usage.unpriced { -1 - known } else { known }
}

/// The JSON of an alias' targets: `[{"version": 3, "weight": 9}]`.
pub(crate) fn targets(targets: &[AliasTarget]) -> String {
    let one = |target: &AliasTarget| serde_json::json!({ "version": target.version, "weight": target.weight });
    serde_json::Value::Array(targets.iter().map(one).collect()).to_string()
}

/// A count as both databases keep it.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count that there may be none of, as both databases keep it.
pub(crate) fn int_if(number: Option<u64>) -> Option<i64> {
    number.map(int)
}

/// A duration as both databases keep it, in microseconds.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A limit as both databases take it.
pub(crate) fn limit(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
