//! A journal as a person reads it: a line per entry, changes of owner between them, totals below.

mod details;
mod owners;

use std::collections::HashMap;

use tenure_core::Timestamp;
use tenure_sdk::v1;
use tenure_sdk::v1::record::Status;

use crate::ui::paint::Paint;
use crate::ui::{text, time};
use owners::{Change, Owners};

/// The column of keys is no wider than this, so that details stay on the screen.
const WIDEST_KEY: usize = 48;
/// And no narrower than this where entries are shown before all of them are known.
const USUAL_KEY: usize = 32;

/// Makes the lines of one journal, in order.
#[derive(Debug)]
pub(crate) struct Timeline {
    paint: Paint,
    started: Timestamp,
    key_width: usize,
    owners: Owners,
    /// What has begun and has no result yet, by key.
    open: HashMap<String, Begun>,
    totals: Totals,
}

/// What an entry began, which says how to read its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    Step,
    Again,
    Question,
    Call,
}

/// What has been shown.
#[derive(Debug, Default)]
struct Totals {
    entries: u64,
    failed: u64,
    /// Results by kind, in order of appearance.
    kinds: Vec<(&'static str, u64)>,
    usage: tenure_core::Usage,
}

impl Timeline {
    /// The journal of `run`; `known` are the entries that are there already.
    pub(crate) fn new(run: &v1::Run, known: &[v1::Entry], paint: Paint) -> Self {
        let keys = known.iter().filter_map(|entry| entry.record.as_ref()).map(|r| r.key.len());
        let key_width = keys.max().unwrap_or(USUAL_KEY).min(WIDEST_KEY);
        let started = time::moment(run.created_at.as_ref());
        let (owners, open, totals) = (Owners::default(), HashMap::new(), Totals::default());
        Self { paint, started, key_width, owners, open, totals }
    }

    /// The line above the first entry.
    pub(crate) fn heading(&self) -> String {
        self.paint.bold(format!("{:>4}  {:>9}  {:>9}  {:<8}  KEY", "SEQ", "AT", "TOOK", "KIND"))
    }

    /// The lines of the next entry: itself, and before it what became of the run's owner, if that
    /// changed.
    pub(crate) fn entry(&mut self, entry: &v1::Entry) -> Vec<String> {
        let at = time::moment(entry.at.as_ref());
        let record = entry.record.clone().unwrap_or_default();
        let change = self.owners.next(entry.epoch, at, &record);
        let mut lines: Vec<_> = change.map(|change| self.change(&change)).into_iter().collect();
        self.totals.add(&record);
        let begun = self.begun(&record);
        lines.push(self.line(entry.seq, at, &record, begun));
        lines
    }

    /// What the entry is the result of, if it is one; what it begins is remembered.
    fn begun(&mut self, record: &v1::Record) -> Option<Begun> {
        let Some(Status::Opened(opening)) = &record.status else {
            return self.open.remove(&record.key);
        };
        self.open.insert(record.key.clone(), details::begins(opening));
        None
    }

    fn change(&self, change: &Change) -> String {
        let text = format!("──── {} ────", change.sentence());
        format!("{:>4}  {:>9}  {}", "", "", self.paint.notable(text))
    }

    fn line(&self, seq: u64, at: Timestamp, record: &v1::Record, begun: Option<Begun>) -> String {
        let at = time::elapsed(at.since(self.started));
        let took = took(record);
        let kind = kind(record);
        let line = format!("{seq:>4}  {at:>9}  {took:>9}  {kind:<8}  ");
        let key = text::line(&record.key);
        match details::details(record, begun, self.paint) {
            None => format!("{line}{key}"),
            Some(details) => format!("{line}{key:<width$}  {details}", width = self.key_width),
        }
    }

    /// The line below the last entry.
    pub(crate) fn totals(&self) -> String {
        let Some(last) = self.owners.last() else {
            return "nothing is recorded yet".into();
        };
        let all = text::count(self.totals.entries, "entry", "entries");
        let took = time::took(last.since(self.started));
        let mut parts = vec![format!("{all} in {took}")];
        parts.extend(self.totals.kinds.iter().map(|(kind, count)| format!("{count} {kind}")));
        parts.extend(tokens(&self.totals.usage));
        if self.totals.failed > 0 {
            parts.push(self.paint.bad(format!("{} failed", self.totals.failed)));
        }
        let begun = self.open.len() as u64;
        if begun > 0 {
            parts.push(self.paint.notable(format!("{} still open", text::thousands(begun))));
        }
        match self.owners.takeovers() {
            0 => {}
            1 => parts.push(self.paint.notable("taken over once")),
            times => parts.push(self.paint.notable(format!("taken over {times} times"))),
        }
        parts.join(" · ")
    }
}

impl Totals {
    fn add(&mut self, record: &v1::Record) {
        self.entries += 1;
        self.failed += u64::from(matches!(record.status, Some(Status::Failed(_))));
        if matches!(record.status, Some(Status::Opened(_))) {
            return;
        }
        let kind = kind(record);
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.kinds.push((kind, 1)),
        }
        if let Some(usage) = &record.usage {
            self.usage.add(&self::usage(usage));
        }
    }
}

/// The kind of an entry in one word.
pub(crate) fn kind(record: &v1::Record) -> &'static str {
    match record.kind() {
        v1::EntryKind::Unspecified => "other",
        v1::EntryKind::Step => "step",
        v1::EntryKind::Model => "model",
        v1::EntryKind::Tool => "tool",
        v1::EntryKind::Wait => "wait",
        v1::EntryKind::Child => "child",
        v1::EntryKind::Artifact => "artifact",
        v1::EntryKind::Marker => "marker",
        v1::EntryKind::Steering => "steering",
    }
}

/// How long the work took; nothing for what is no work.
fn took(record: &v1::Record) -> String {
    let length = time::length(record.duration.as_ref());
    match (&record.status, record.kind()) {
        (Some(Status::Opened(_) | Status::Steered(_)), _) | (_, v1::EntryKind::Steering) => {
            String::new()
        }
        (_, v1::EntryKind::Wait | v1::EntryKind::Child) if length.is_zero() => String::new(),
        _ => time::took(length),
    }
}

/// `paused by ann: lunch`, as much of it as was said.
pub(crate) fn done(what: &str, by: &v1::Steering) -> String {
    let mut text = what.to_owned();
    for (word, said) in [(" by ", &by.actor), (": ", &by.reason)] {
        if !said.is_empty() {
            text = format!("{text}{word}{}", text::line(said));
        }
    }
    text
}

/// A failure in one line.
pub(crate) fn failure(failure: &v1::Failure) -> String {
    let message = text::line(failure.message.trim_end());
    format!("{message} ({})", text::line(&failure.code))
}

/// Usage as core has it, which knows how to add it up.
pub(crate) fn usage(usage: &v1::Usage) -> tenure_core::Usage {
    tenure_core::Usage {
        model: usage.model.clone(),
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cached_tokens: usage.cached_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        cost_micros: usage.cost_micros,
        unpriced: usage.unpriced,
        tool_calls: usage.tool_calls,
    }
}

/// Tokens and money, if there were any.
pub(crate) fn tokens(usage: &tenure_core::Usage) -> Option<String> {
    if usage.input_tokens == 0 && usage.output_tokens == 0 {
        return None;
    }
    let (input, output) = (usage.input_tokens, usage.output_tokens);
    let tokens = format!("{} tokens in, {} out", text::thousands(input), text::thousands(output));
    let dollars = tenure_core::text::dollars(usage.cost_micros);
    Some(match (usage.cost_micros, usage.unpriced) {
        (0, false) => tokens,
        (0, true) => format!("{tokens}, price not known"),
        (_, false) => format!("{tokens} for {dollars}"),
        (_, true) => format!("{tokens} for more than {dollars}"),
    })
}

/// Tokens, money and calls of tools, if there were any.
pub(crate) fn used(usage: &tenure_core::Usage) -> Option<String> {
    let calls = (usage.tool_calls > 0).then(|| tool_calls(usage.tool_calls));
    let parts = [tokens(usage), calls].into_iter().flatten();
    parts.reduce(|all, part| format!("{all}, {part}"))
}

/// What a run may use at most.
pub(crate) fn budget(budget: &v1::Budget) -> String {
    let money = budget.cost_micros.map(tenure_core::text::dollars);
    let tokens = budget.tokens.map(|tokens| format!("{} tokens", text::thousands(tokens)));
    let calls = budget.tool_calls.map(tool_calls);
    [money, tokens, calls].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn tool_calls(count: u64) -> String {
    let calls = if count == 1 { "call of a tool" } else { "calls of tools" };
    format!("{} {calls}", text::thousands(count))
}

#[cfg(test)]
mod tests;
