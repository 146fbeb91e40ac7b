//! Every example survives the death of its worker at every boundary of its journal.
//!
//! An example is played once undisturbed. Then it is played three times for each step (killed before
//! its execution, between that and its record, and after the record) and once for each wait and each
//! effect that begins: there the worker is killed, and another one goes on. The end has to be the
//! same, nothing that is on record may have been done again, and what must not happen twice has
//! happened once. Models are asked over HTTP, in the wire format of `OpenAI`, at a server that plays the
//! scripts of the examples and counts.

mod example;
mod play;
mod stop;
mod talk;

use tenure_sdk::v1;

use example::Example;
use play::{Ended, Played, Stage};
use stop::{Execution, Place};

#[tokio::test]
async fn question_answering() {
    sweep(&Example {
        script: Some("question-answering/model.yaml"),
        ..Example::of(
            &["question-answering/chain.json"],
            r#""Why does a worker renew its lease?""#,
            "It shows that it is still alive.",
        )
    })
    .await;
}

#[tokio::test]
async fn document_digest() {
    sweep(&Example {
        files: Some("research/sources"),
        ..Example::of(
            &["document-digest/agent.yaml"],
            r#""Digest the sources.""#,
            "The report is written to report.md.",
        )
    })
    .await;
}

#[tokio::test]
async fn support_triage() {
    sweep(&Example {
        files: Some("support-triage/shop"),
        programs: &["sh"],
        ..Example::of(
            &["support-triage/agent.yaml"],
            r##""The lamp of order #1002 arrived broken.""##,
            r#""refunded":"129.00""#,
        )
    })
    .await;
}

#[tokio::test]
async fn research() {
    sweep(&Example {
        files: Some("research/sources"),
        ..Example::of(
            &["research/lead.yaml", "research/researcher.yaml"],
            r#""Why do cities plant street trees?""#,
            "The report is report.md.",
        )
    })
    .await;
}

#[tokio::test]
async fn coding_assistant() {
    sweep(&Example {
        files: Some("coding-assistant/project"),
        programs: &["cc"],
        ..Example::of(
            &["coding-assistant/agent.yaml"],
            r#""Make the tests pass.""#,
            "the tests pass.",
        )
    })
    .await;
}

#[tokio::test]
async fn nightly_report() {
    sweep(&Example {
        files: Some("nightly-report/shops"),
        ..Example::of(
            &["nightly-report/agent.yaml"],
            r#""2026-11-20""#,
            "The report of 2026-11-20 is report.md.",
        )
    })
    .await;
}

/// Kills the worker of an example at every boundary of its journal.
async fn sweep(example: &Example) {
    let stage = Stage::of(example).await;
    let calm = stage.play(Place::Nowhere).await;
    check(&calm, &calm, Place::Nowhere);
    let output = calm.output().to_string();
    assert!(output.contains(example.output), "{output}");
    let steps = calm.executions.len();
    let places = (0..steps)
        .flat_map(|step| [Place::Before(step), Place::Executed(step), Place::Recorded(step)]);
    for place in places.chain(openings(&calm)) {
        let played = stage.play(place).await;
        assert!(played.killed, "{place:?}: the worker never came there");
        check(&calm, &played, place);
    }
}

/// The entries that something follows from before a step has its record: the run begins to wait for
/// somebody, or an effect that must not happen twice begins.
fn openings(calm: &Played) -> Vec<Place> {
    use v1::opening::Opening::{Child, Interrupt, Started};
    let opens = |entry: &&v1::Entry| {
        let Some(v1::record::Status::Opened(opened)) = status(entry) else { return false };
        matches!(opened.opening, Some(Interrupt(_) | Child(_) | Started(_)))
    };
    let entries = calm.runs.iter().filter(|run| run.id == calm.run).flat_map(|run| &run.journal);
    entries.filter(opens).map(|entry| Place::Entries(entry.seq)).collect()
}

fn status(entry: &v1::Entry) -> Option<&v1::record::Status> {
    entry.record.as_ref()?.status.as_ref()
}

/// The same end, reached without doing anything again that was on record.
fn check(calm: &Played, played: &Played, place: Place) {
    for (calm, played) in calm.runs.iter().zip(&played.runs) {
        assert_eq!(calm.end(), played.end(), "{place:?}");
    }
    assert_eq!(calm.runs.len(), played.runs.len(), "{place:?}: runs");
    assert_eq!(calm.effects, played.effects, "{place:?}: what must happen once");
    for run in &played.runs {
        for entry in &run.journal {
            check_entry(played, run, entry, place);
        }
    }
    check_models(played, place);
}

/// Nobody executes a step once it has a record. The record says by its epoch which owner made it.
fn check_entry(played: &Played, run: &Ended, entry: &v1::Entry, place: Place) {
    if let None | Some(v1::record::Status::Opened(_)) = status(entry) {
        return;
    }
    let key = &entry.record.as_ref().unwrap().key;
    let executions = played.executions.iter().filter(|it| it.run == run.id && it.key == *key);
    let epochs: Vec<_> = executions.map(|execution| execution.epoch).collect();
    let after = epochs.iter().filter(|epoch| **epoch > entry.epoch).count();
    let by_owner = epochs.iter().filter(|epoch| **epoch == entry.epoch).count();
    assert_eq!(after, 0, "{place:?}: {key} was executed after its record, by {epochs:?}");
    assert!(by_owner <= 1, "{place:?}: {key} was executed by {epochs:?}");
}

/// A model is asked once for each reply on record, and once more at most for each execution that was
/// cut off before its record.
fn check_models(played: &Played, place: Place) {
    let (mut replies, mut executed) = (0, 0);
    for run in &played.runs {
        for record in run.journal.iter().filter_map(|entry| entry.record.as_ref()) {
            if record.kind() == v1::EntryKind::Model {
                let executions = &played.executions;
                let same = |it: &&Execution| it.run == run.id && it.key == record.key;
                replies += 1;
                executed += executions.iter().filter(same).count();
            }
        }
    }
    let asked = played.asked;
    assert!(
        replies > 0 && (replies..=executed).contains(&asked),
        "{place:?}: {asked} asked for {replies} replies, {executed} executions"
    );
}
