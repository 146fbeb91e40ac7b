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

const QUESTION: Example = Example {
    script: Some("question-answering/model.yaml"),
    ..Example::of(
        &["question-answering/chain.json"],
        "Why does a worker renew its lease?",
        "It shows that it is still alive.",
    )
};

const DIGEST: Example = Example {
    files: Some("research/sources"),
    ..Example::of(
        &["document-digest/agent.yaml"],
        "Digest the sources.",
        "The report is written to report.md.",
    )
};

const TICKET: Example = Example {
    files: Some("support-triage/shop"),
    programs: &["sh"],
    ..Example::of(
        &["support-triage/agent.yaml"],
        "The lamp of order #1002 arrived broken.",
        r#""refunded":"129.00""#,
    )
};

const RESEARCH: Example = Example {
    files: Some("research/sources"),
    ..Example::of(
        &["research/lead.yaml", "research/researcher.yaml"],
        "Why do cities plant street trees?",
        "The report is report.md.",
    )
};

const CODING: Example = Example {
    files: Some("coding-assistant/project"),
    programs: &["cc"],
    ..Example::of(&["coding-assistant/agent.yaml"], "Make the tests pass.", "the tests pass.")
};

const NIGHTLY: Example = Example {
    files: Some("nightly-report/shops"),
    ..Example::of(
        &["nightly-report/agent.yaml"],
        "2026-11-20",
        "The report of 2026-11-20 is report.md.",
    )
};

#[tokio::test]
async fn question_answering() {
    sweep(&QUESTION).await;
}

#[tokio::test]
async fn document_digest() {
    sweep(&DIGEST).await;
}

#[tokio::test]
async fn support_triage() {
    sweep(&TICKET).await;
}

#[tokio::test]
async fn research() {
    sweep(&RESEARCH).await;
}

#[tokio::test]
async fn coding_assistant() {
    sweep(&CODING).await;
}

#[tokio::test]
async fn nightly_report() {
    sweep(&NIGHTLY).await;
}

#[tokio::test]
async fn other_inputs_lead_elsewhere() {
    for (example, input, output, effects) in [
        (&QUESTION, "Good morning!", "is no question", ""),
        (&QUESTION, "Who is Ann?", "This may be wrong: I do not know", ""),
        (&TICKET, "The teapot of order #1001 broke.", r#""refunded":"19.90""#, "1001,19.90\n"),
        (&TICKET, "The table of order #1003 broke.", r#""refunded":"0.00""#, ""),
        (&TICKET, "The vase of order #1004 broke.", r#""refunded":"0.00""#, ""),
    ] {
        let played = Stage::of(example).await.play_with(input, Place::Nowhere).await;
        assert!(played.output().to_string().contains(output), "{input}: {}", played.output());
        assert_eq!(played.effects, effects, "{input}");
    }
}

#[tokio::test]
async fn reports_say_what_the_files_say() {
    let nightly = Stage::of(&NIGHTLY).await.play(Place::Nowhere).await;
    insta::assert_snapshot!(nightly.report(), @r"
    # Shops on 2026-11-20

    | shop | orders | revenue |
    |---|---:|---:|
    | harbour.csv | 67 | 2045 |
    | market.csv | 153 | 2520 |
    | station.csv | 243 | 2516 |
    | **all** | **463** | **7081** |
    ");
    let research = Stage::of(&RESEARCH).await.play(Place::Nowhere).await;
    insta::assert_snapshot!(research.report(), @r"
    # Why do cities plant street trees?

    - **What it costs**: A street tree costs more in its first three years than in the thirty after them, for it has to be watered.
    - **Heat**: On a summer afternoon the ground under a street tree is up to twenty degrees cooler than the asphalt beside it.
    - **Rain**: The crown of a grown tree keeps back a fifth of a year's rain before it reaches the street.
    ");
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
