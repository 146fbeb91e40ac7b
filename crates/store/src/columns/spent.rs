//! What the entries of a batch add to what was spent, summed before it is written: many runs of one
//! agent are one row.

use tenure_core::allowance::Day;
use tenure_core::{Entry, EntryKind, Run};
use uuid::Uuid;

use super::{UsageColumns, int};

/// A row of `spent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpentColumns<'a> {
    pub tenant_id: Uuid,
    pub day: i64,
    pub agent_id: Uuid,
    pub version: i64,
    /// Empty for what no model was asked for.
    pub model: &'a str,
    pub amounts: Amounts,
}

/// What is added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub model_calls: i64,
    /// Of these, those whose price is not known.
    pub unpriced: i64,
    pub tool_calls: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cached_tokens: i64,
    pub reasoning_tokens: i64,
    pub cost_micros: i64,
}

/// The most that one amount adds: of two the sum still fits, and the statement keeps a sum below it.
pub(crate) const MOST: i64 = 4_000_000_000_000_000_000;

/// A hold that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HoldColumns<'a> {
    pub tenant_id: Uuid,
    pub run_id: Uuid,
    pub key: &'a str,
}

impl<'a> SpentColumns<'a> {
    /// What an entry adds, if anything.
    pub(super) fn of(run: &Run, entry: &'a Entry) -> Option<Self> {
        let spending = entry.record.spending()?;
        let usage = spending.usage.map(UsageColumns::of).unwrap_or_default();
        let amount = |of: Option<i64>| of.unwrap_or_default().min(MOST);
        let known = spending.usage.map_or(0, |usage| int(usage.cost_micros));
        let amounts = Amounts {
            model_calls: spending.usage.is_some().into(),
            unpriced: spending.usage.is_some_and(|usage| usage.unpriced).into(),
            tool_calls: spending.tool_calls,
            input_tokens: amount(usage.input_tokens),
            output_tokens: amount(usage.output_tokens),
            cached_tokens: amount(usage.cached_tokens),
            reasoning_tokens: amount(usage.reasoning_tokens),
            cost_micros: amount(Some(known)),
        };
        Some(Self {
            tenant_id: run.tenant.uuid(),
            day: Day::of(entry.at).0,
            agent_id: run.agent.uuid(),
            version: run.version.into(),
            model: usage.model.unwrap_or_default(),
            amounts,
        })
    }

    fn key(&self) -> (Uuid, i64, Uuid, i64, &'a str) {
        (self.tenant_id, self.day, self.agent_id, self.version, self.model)
    }

    /// One row for each key, in the order of the keys: two batches lock the same rows in one order.
    pub(super) fn sum(mut rows: Vec<Self>) -> Vec<Self> {
        rows.sort_by_key(Self::key);
        rows.dedup_by(|next, sum| {
            let same = next.key() == sum.key();
            if same {
                sum.amounts.add(next.amounts);
            }
            same
        });
        rows
    }
}

impl Amounts {
    fn add(&mut self, other: Self) {
        for (sum, part) in [
            (&mut self.model_calls, other.model_calls),
            (&mut self.unpriced, other.unpriced),
            (&mut self.tool_calls, other.tool_calls),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.cached_tokens, other.cached_tokens),
            (&mut self.reasoning_tokens, other.reasoning_tokens),
            (&mut self.cost_micros, other.cost_micros),
        ] {
            *sum = sum.saturating_add(part).min(MOST);
        }
    }
}

impl<'a> HoldColumns<'a> {
    /// The hold that an entry ends: it may be that there was none.
    pub(super) fn of(run: &Run, entry: &'a Entry) -> Option<Self> {
        let (tenant_id, run_id) = (run.tenant.uuid(), run.id.uuid());
        let key = entry.record.key.as_str();
        (entry.record.kind == EntryKind::Model).then_some(Self { tenant_id, run_id, key })
    }
}
