//! Questions of runs, and the answers.

use serde_json::{Value, json};

use crate::desk::Desk;
use crate::tenure::Dev;

const REFUND: [&str; 4] = ["refunds@1", "--input", "7", "--json"];

/// The ids of what is asked, the oldest first.
fn open(dev: &Dev, args: &[&str]) -> Vec<String> {
    let listed = dev.json(&[&["inbox", "list"], args].concat());
    let interrupts = listed["interrupts"].as_array().cloned().unwrap_or_default();
    interrupts.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_question_is_shown_with_the_commands_that_answer_it() {
    let dev = Dev::start();
    let _desk = Desk::open(&dev);
    let run = Desk::asking(&dev, &REFUND);
    let ids = open(&dev, &["--run", &run, "--assignee", "finance", "--agent", "refunds"]);
    let [id] = &*ids else { panic!("{ids:?}") };
    let list = dev.run(&["inbox", "list"]).out;
    assert!(list.contains(id) && list.contains("Refund order 7?"), "{list}");
    assert_eq!(open(&dev, &["--older-than", "1h"]), [""; 0]);

    let shown = dev.run(&["inbox", "show", id]).out;
    let commands = format!("tenure --url {} inbox", dev.url);
    for part in [
        "approval",
        "finance",
        ", then it counts as `reject`",
        "approve, edit, reject",
        "\"dollars\": 120",
        &format!("{commands} approve {id}\n"),
        &format!("{commands} approve {id} --edit JSON\n"),
        &format!("{commands} reject {id} --reason WHY\n"),
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let run = dev.run(&["runs", "show", &run]).out;
    assert!(run.contains("waiting (for an answer)"), "{run}");
    assert!(run.contains("waits on") && run.contains(&format!("{commands} approve {id}")), "{run}");
}

#[test]
fn a_question_has_one_answer() {
    let dev = Dev::start();
    let _desk = Desk::open(&dev);
    let run = Desk::asking(&dev, &REFUND);
    let id = &open(&dev, &["--run", &run])[0];
    let edited = ["inbox", "approve", id, "--edit", "{\"dollars\": 100}", "--actor", "ann"];
    let said = dev.run(&edited);
    assert_eq!(
        (said.status, said.out),
        (0, format!("{id} approved with changes: Refund order 7?\n"))
    );
    assert_eq!(dev.run(&edited).status, 0, "the same answer once more");
    let other = dev.run(&["inbox", "reject", id, "--reason", "no"]);
    assert!(
        other.status == 1 && other.err.contains("answered with `edit` by ann"),
        "{}",
        other.err
    );
    assert_eq!(dev.ended(&run)["output"]["data"], base64(r#"{"paid":100}"#));
    assert_eq!(&open(&dev, &["--all"])[0], id);
    assert!(dev.run(&["inbox", "list", "--all"]).out.contains("approved with changes by ann"));
    let journal = dev.run(&["journal", &run]).out;
    assert!(journal.contains("asks finance: Refund order 7?"), "{journal}");
    assert!(journal.contains("edit by ann"), "{journal}");
}

fn base64(text: &str) -> Value {
    let payload = tenure_sdk::v1::Payload { data: text.to_owned().into(), ..Default::default() };
    serde_json::to_value(payload).unwrap()["data"].clone()
}

#[test]
fn many_are_answered_after_they_were_counted() {
    let dev = Dev::start();
    let _desk = Desk::open(&dev);
    let runs = [0; 3].map(|_| Desk::asking(&dev, &REFUND));
    Desk::asking(&dev, &["paint", "--input", "door"]);
    let asked = dev.run(&["inbox", "reject", "--all-open", "--agent", "refunds", "--reason", "no"]);
    assert_eq!((asked.status, &*asked.out), (1, ""));
    assert!(asked.err.contains("3 of 3 open interrupts will be rejected"), "{}", asked.err);
    assert!(asked.err.contains("hint: add --yes"), "{}", asked.err);

    let first = &open(&dev, &["--agent", "refunds"])[0];
    let absent = "int_01h455vb4pex5vsknk084sn02q";
    let both = dev.run(&["inbox", "approve", first, absent]);
    assert_eq!(both.status, 1);
    assert!(both.out.contains(&format!("{first} approved")), "{}", both.out);
    assert!(both.out.contains(&format!("{absent} refused: ")), "{}", both.out);
    assert!(both.err.contains("1 of 2 were refused"), "{}", both.err);

    let rest = dev.run(&["inbox", "approve", "--all-open", "--yes"]);
    assert_eq!((rest.status, rest.out.lines().count()), (0, 2), "{}", rest.err);
    assert!(rest.err.contains("2 of 3 open interrupts will be approved"), "{}", rest.err);
    for run in &runs {
        assert_eq!(dev.ended(run)["state"], "RUN_STATE_SUCCEEDED");
    }
    assert_eq!(dev.run(&["inbox", "approve", "--all-open", "--yes"]).status, 0, "none is left");
}

#[test]
fn a_choice_is_made_with_its_word() {
    let dev = Dev::start();
    let _desk = Desk::open(&dev);
    let run = Desk::asking(&dev, &["paint", "--input", "door"]);
    let id = &open(&dev, &[])[0];
    assert!(dev.run(&["inbox", "show", id]).out.contains(&format!("inbox answer {id} blue\n")));
    let wrong = dev.run(&["inbox", "answer", id, "green"]);
    assert!(wrong.status == 1 && wrong.err.contains("green"), "{}", wrong.err);
    assert_eq!(dev.run(&["inbox", "approve", id]).status, 1, "it allows respond and reject");
    let right = dev.json(&["inbox", "answer", id, "blue", "--reason", "as the sky"]);
    let answered = &right["resolved"][0]["answered"];
    assert_eq!(answered["state"], "INTERRUPT_STATE_ANSWERED");
    assert_eq!(answered["answer"]["reason"], json!("as the sky"));
    assert_eq!(dev.ended(&run)["output"]["data"], base64("\"blue\""));
}
