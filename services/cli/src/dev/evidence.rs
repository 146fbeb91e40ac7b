//! Whether the demo has shown what it claims: a takeover, and no step executed twice.

use std::collections::BTreeMap;

use tenure_core::StateName;
use tenure_sdk::v1;

use crate::session;
use crate::timeline;

/// What workers and journal say, from two sides.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Executions by key, as the workers announced them before each.
    executed: BTreeMap<String, u32>,
    /// Entries by key.
    recorded: BTreeMap<String, u32>,
    /// Epochs in order of appearance.
    epochs: Vec<u64>,
}

impl Evidence {
    /// Takes note of a worker's line; false if it announces no step of this run.
    pub(super) fn line(&mut self, run: &str, line: &str) -> bool {
        let Some(key) = announced(run, line) else { return false };
        *self.executed.entry(key.to_owned()).or_default() += 1;
        true
    }

    /// Takes note of an entry; true if it is the first of another owner.
    pub(super) fn entry(&mut self, entry: &v1::Entry) -> bool {
        let key = entry.record.as_ref().map(|record| record.key.clone()).unwrap_or_default();
        *self.recorded.entry(key).or_default() += 1;
        let known = self.epochs.contains(&entry.epoch);
        if !known {
            self.epochs.push(entry.epoch);
        }
        !known && self.epochs.len() > 1
    }

    /// Keys that the journal has.
    pub(super) fn recorded(&self) -> usize {
        self.recorded.len()
    }

    /// Whether everything that was begun is recorded, so that nobody is in the middle of a step.
    pub(super) fn nothing_in_flight(&self) -> bool {
        self.executed.keys().all(|key| self.recorded.contains_key(key))
    }

    /// What was shown, or everything that speaks against it.
    pub(super) fn verdict(&self, run: &v1::Run) -> Result<Vec<String>, Vec<String>> {
        let against: Vec<String> =
            [not_succeeded(run), self.not_taken_over(), self.no_announcements()]
                .into_iter()
                .flatten()
                .chain(self.more_than_once())
                .chain(self.never_recorded())
                .collect();
        if !against.is_empty() {
            return Err(against);
        }
        let (executed, takeovers) = (self.executed.len(), self.epochs.len() - 1);
        let times = if takeovers == 1 { "once".into() } else { format!("{takeovers} times") };
        Ok(vec![
            format!("the run succeeded although its worker was killed; it was taken over {times}"),
            format!("{executed} steps were executed, each of them exactly once"),
            format!("{} entries were recorded, each of them exactly once", self.recorded.len()),
        ])
    }

    fn not_taken_over(&self) -> Option<String> {
        let missing = self.epochs.len() < 2;
        missing.then(|| "no second worker took the run over".into())
    }

    fn no_announcements(&self) -> Option<String> {
        let silent = self.executed.is_empty();
        silent.then(|| "the workers announced no steps, so nothing can be said about them".into())
    }

    fn more_than_once(&self) -> impl Iterator<Item = String> {
        let sides = [(&self.executed, "executed"), (&self.recorded, "recorded")];
        sides.into_iter().flat_map(|(keys, what)| {
            let twice = keys.iter().filter(|(_, times)| **times > 1);
            twice.map(move |(key, times)| format!("step {key} was {what} {times} times"))
        })
    }

    fn never_recorded(&self) -> impl Iterator<Item = String> {
        let lost = self.executed.keys().filter(|key| !self.recorded.contains_key(*key));
        lost.map(|key| format!("step {key} was executed and never recorded"))
    }
}

fn not_succeeded(run: &v1::Run) -> Option<String> {
    let why = run.failure.as_ref().map(timeline::failure).unwrap_or_default();
    match session::state(run) {
        Some(StateName::Succeeded) => None,
        Some(StateName::Failed) => Some(format!("the run failed: {why}")),
        _ => Some("the run did not succeed".into()),
    }
}

/// The key in `executing RUN KEY epoch=E`.
fn announced<'a>(run: &str, line: &'a str) -> Option<&'a str> {
    let mut words = line.split_whitespace();
    let known = words.next() == Some("executing") && words.next() == Some(run);
    let key = words.next().filter(|_| known)?;
    words.next()?.starts_with("epoch=").then_some(key)
}

/// After how many steps to kill the worker: about halfway. The agent's first reply, the listing and
/// its second reply come before the files; each file is two steps for the script, while a real
/// model may find one to be enough.
pub(super) fn halfway(files: usize, scripted: bool) -> u32 {
    let half = if scripted { files } else { files / 2 };
    u32::try_from(half).unwrap_or(u32::MAX).saturating_add(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, epoch: u64) -> v1::Entry {
        let record = v1::Record { key: key.into(), ..v1::Record::default() };
        v1::Entry { epoch, record: Some(record), ..v1::Entry::default() }
    }

    fn run(state: v1::RunState) -> v1::Run {
        v1::Run { state: state.into(), ..v1::Run::default() }
    }

    fn evidence(executed: &[&str], recorded: &[(&str, u64)]) -> Evidence {
        let mut evidence = Evidence::default();
        for key in executed {
            assert!(evidence.line("run_1", &format!("executing run_1 {key} epoch=1")));
        }
        for (key, epoch) in recorded {
            evidence.entry(&entry(key, *epoch));
        }
        evidence
    }

    #[test]
    fn every_step_once_under_two_owners_is_what_was_promised() {
        let evidence = evidence(&["a", "b"], &[("a", 1), ("b", 3), ("note", 3)]);
        let verdict = evidence.verdict(&run(v1::RunState::Succeeded)).unwrap();
        insta::assert_snapshot!(verdict.join("\n"), @r"
        the run succeeded although its worker was killed; it was taken over once
        2 steps were executed, each of them exactly once
        3 entries were recorded, each of them exactly once
        ");
    }

    #[test]
    fn everything_that_speaks_against_it_is_said() {
        let failure =
            v1::Failure { code: "oom".into(), message: "out of memory".into(), retryable: false };
        let failed = v1::Run { failure: Some(failure), ..run(v1::RunState::Failed) };
        let evidence = evidence(&["a", "a", "b"], &[("a", 1), ("a", 1)]);
        let verdict = evidence.verdict(&failed).unwrap_err();
        insta::assert_snapshot!(verdict.join("\n"), @r"
        the run failed: out of memory (oom)
        no second worker took the run over
        step a was executed 2 times
        step a was recorded 2 times
        step b was executed and never recorded
        ");
        let silent = Evidence::default().verdict(&run(v1::RunState::Succeeded)).unwrap_err();
        assert!(silent.iter().any(|line| line.contains("announced no steps")));
    }

    #[test]
    fn only_announcements_of_this_run_count() {
        let mut evidence = Evidence::default();
        assert!(!evidence.line("run_1", "executing run_2 a epoch=1"));
        assert!(!evidence.line("run_1", "executing run_1 a"));
        assert!(!evidence.line("run_1", "hello"));
        assert!(evidence.executed.is_empty());
    }

    #[test]
    fn a_worker_is_between_steps_when_all_it_began_is_recorded() {
        let mut evidence = evidence(&["a", "b"], &[("a", 1)]);
        assert!(!evidence.nothing_in_flight());
        assert!(!evidence.entry(&entry("b", 1)), "the same owner");
        assert!(evidence.nothing_in_flight());
        assert!(evidence.entry(&entry("c", 3)), "another owner");
        assert!(!evidence.entry(&entry("d", 3)), "no longer another");
    }

    #[test]
    fn halfway_is_half_of_the_expected_steps() {
        assert_eq!([0, 1, 10].map(|files| halfway(files, true)), [3, 4, 13]);
        assert_eq!(halfway(10, false), 8);
        assert_eq!(halfway(usize::MAX, true), u32::MAX);
    }
}
