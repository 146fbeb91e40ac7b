//! People intervene in runs.

use std::sync::atomic::Ordering;

use crate::desk::Desk;
use crate::tenure::{Dev, Ended};

const REFUND: [&str; 4] = ["refunds@1", "--input", "7", "--json"];

fn says(ended: &Ended, parts: &[&str]) {
    for part in parts {
        let said = format!("{}{}", ended.out, ended.err);
        assert!(said.contains(part), "{part} in {said}");
    }
}

/// Answers what a run asks.
fn approve(dev: &Dev) {
    let answered = dev.run(&["inbox", "approve", "--all-open", "--yes"]);
    assert_eq!((answered.status, answered.out.lines().count()), (0, 1), "{}", answered.err);
}

#[test]
fn a_run_rests_until_it_is_resumed() {
    let dev = Dev::start();
    let _desk = Desk::open(&dev);
    let run = Desk::asking(&dev, &REFUND);
    says(&dev.run(&["runs", "why", &run]), &["it waits for interrupt int_", "(interrupt,"]);
    let pause = dev.run(&["runs", "pause", &run, "--actor", "ann", "--reason", "lunch"]);
    says(&pause, &["is waiting (paused)"]);
    says(&dev.run(&["runs", "get", &run]), &["steered  paused by ann: lunch"]);
    says(&dev.run(&["runs", "why", &run]), &["it is paused by ann: lunch", "hint: let it go on"]);
    approve(&dev);
    says(&dev.run(&["runs", "list"]), &["waiting (paused)"]);
    says(&dev.run(&["runs", "prioritize", &run, "-3"]), &["has priority -3"]);
    // The worker that waits for work may have it before this command has told what it did.
    let resumed = dev.run(&["runs", "resume", &run, "--actor", "ann"]).out;
    assert!(resumed.contains("is queued") || resumed.contains("is running"), "{resumed}");
    assert_eq!(dev.ended(&run)["state"], "RUN_STATE_SUCCEEDED");
    let journal = dev.run(&["journal", &run]);
    says(
        &journal,
        &["paused by ann: lunch", "resumed by ann", "moved in its queue", "goes on after"],
    );
    let late = dev.run(&["runs", "pause", &run]);
    assert_eq!(late.status, 1);
}

#[test]
fn newer_code_is_checked_before_it_is_used_and_patched_where_it_blocks() {
    let dev = Dev::start();
    let _desk = Desk::open(&dev);
    let run = Desk::asking(&dev, &REFUND);
    let agrees = dev.run(&["runs", "replay", &run]);
    assert_eq!((agrees.status, &*agrees.out), (0, "agrees: 2 entries, would go on with refund\n"));
    let differs = dev.run(&["runs", "replay", &run, "--version", "2"]);
    assert_eq!(differs.status, 1);
    says(&differs, &["does not agree: entry `look-up`", "expected a step", "found a step"]);
    let check = dev.run(&["agents", "check", "refunds", "--version", "2"]);
    assert_eq!(check.status, 1);
    says(
        &check,
        &[&run, "look-up", "1 parked run of refunds, replayed on version 2: 1 would block"],
    );
    let check = dev.json(&["agents", "check", "refunds", "--version", "1"]);
    assert_eq!(check["runs"][0]["verdict"], "agrees");

    let fork = dev.run(&["runs", "fork", &run, "--version", "2"]).out.trim().to_owned();
    dev.until(&fork, "RUN_STATE_WAITING");
    says(&dev.run(&["runs", "why", &fork]), &["it is blocked (mismatch)", "hint: when its code"]);
    let result = r#"{"order": 8, "dollars": 5}"#;
    let patch = ["runs", "patch", &fork, "--key", "look-up", "--result", result];
    let patch = dev.run(&[&patch[..], &["--reason", "looked up by hand"]].concat());
    says(&patch, &["look-up of run_", "has this result now"]);
    dev.until(&fork, "RUN_STATE_WAITING");
    let diff = dev.run(&["runs", "diff", &run, &fork]);
    assert_eq!(diff.status, 1);
    says(&diff, &["differs", "look-up", "\"dollars\":5", "same"]);
    says(&dev.run(&["journal", &fork]), &["patched: looked up by hand", "given: {"]);
}

#[test]
fn what_failed_is_found_and_requeued() {
    let dev = Dev::start();
    let desk = Desk::open(&dev);
    desk.bank.store(false, Ordering::SeqCst);
    let run = Desk::asking(&dev, &REFUND);
    let early = dev.run(&["runs", "requeue", &run]);
    assert!(early.status == 1 && early.err.contains("only what has failed"), "{}", early.err);
    approve(&dev);
    dev.until(&run, "RUN_STATE_FAILED");
    let failed = dev.json(&["runs", "list", "--failure", "bank_closed"]);
    assert_eq!(failed["runs"][0]["id"], *run);
    assert_eq!(dev.json(&["runs", "list", "--failure", "exhausted"]), serde_json::json!({}));
    desk.bank.store(true, Ordering::SeqCst);
    let requeued = dev.run(&["runs", "requeue", &run]);
    assert_eq!(requeued.status, 0, "{}", requeued.err);
    says(&requeued, &["is queued, with", "runs diff"]);
    let again = requeued.out.trim();
    assert_eq!(dev.ended(again)["state"], "RUN_STATE_SUCCEEDED");
    assert_eq!(dev.run(&["runs", "diff", &run, &run]).status, 0);
    let diff = dev.run(&["runs", "diff", &run, again]);
    assert_eq!(diff.status, 1);
    says(&diff, &["differs  pay", "failed: the bank is closed", "same     look-up"]);
    let diff = dev.json_of(&["runs", "diff", &run, again]);
    assert_eq!(diff["entries"][0]["verdict"], "same");
}

#[test]
fn runs_with_one_key_take_turns() {
    let dev = Dev::start();
    let _desk = Desk::open(&dev);
    let turns = [&REFUND[..], &["--concurrency-key", "session-7"]].concat();
    let first = Desk::asking(&dev, &turns);
    let next = dev.json(&[&["run"], &*turns].concat())["id"].as_str().unwrap().to_owned();
    says(&dev.run(&["runs", "why", &next]), &[&format!("{first} has concurrency key `session-7`")]);
    let both = dev.json(&["runs", "list", "--concurrency-key", "session-7"]);
    assert_eq!(both["runs"].as_array().unwrap().len(), 2);
    let reject = dev.run(&[&["run"], &*turns, &["--concurrency-policy", "reject"]].concat());
    assert_eq!(reject.status, 1, "{}", reject.out);
    let replace = [&["run"], &*turns, &["--concurrency-policy", "replace"]].concat();
    let last = dev.json(&replace)["id"].as_str().unwrap().to_owned();
    for replaced in [&first, &next] {
        dev.until(replaced, "RUN_STATE_CANCELLED");
    }
    dev.until(&last, "RUN_STATE_WAITING");
}

#[test]
fn caps_are_set_and_lifted() {
    let dev = Dev::start();
    let _desk = Desk::open(&dev);
    says(&dev.run(&["agents", "cap", "refunds", "1"]), &["refunds: at most 1 run at a time"]);
    assert_eq!(dev.json(&["agents", "list"])["agents"][1]["maxRunning"], 1);
    says(&dev.run(&["agents", "cap", "refunds", "none"]), &["refunds: any number of runs"]);
    says(&dev.run(&["tenants", "cap", "default", "500"]), &["default: at most 500 runs"]);
    says(&dev.run(&["tenants", "get", "default"]), &["CAP", "500"]);
}

#[test]
fn a_run_that_nobody_takes_says_so() {
    let dev = Dev::start();
    let file = dev.file("alone.yaml", "{name: alone, kind: external, pool: nowhere}");
    dev.json(&["apply", "-f", &file]);
    let terms = ["--priority", "5", "--timeout", "1h", "--retries", "3", "--backoff", "2s"];
    let run = dev.run(&[&["run", "alone"], &terms[..]].concat()).out.trim().to_owned();
    let why = dev.run(&["runs", "why", &run]);
    says(&why, &["no worker has ever asked for runs of pool `nowhere`", "hint: start a worker"]);
    says(&dev.run(&["runs", "show", &run]), &["priority  5", "deadline  in 59 min"]);
    assert_eq!(dev.json(&["runs", "why", &run])["code"], "no_worker");
}
