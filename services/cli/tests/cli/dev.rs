//! `tenure dev` as a whole: its end, its demo.

use std::fs;
use std::process::Command;

use crate::tenure::{Dev, Ended, Process, command};

/// An agent that keeps its worker busy.
const BUSY: &str = "
name: busy
model: {provider: scripted, name: s, script: {latency: 1h, turns: [{text: late}]}}
";

fn signal(name: &str, pid: u64) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn no_child_outlives_a_killed_dev() {
    let mut dev = Dev::start();
    let file = dev.file("busy.yaml", BUSY);
    dev.json(&["apply", "-f", &file]);
    let mut follow = Process::start(dev.command(&["run", "busy", "--follow", "--output", "json"]));
    follow.until(|event| event["run"]["state"] == "RUN_STATE_RUNNING");
    dev.process.child.kill().unwrap();
    dev.all_ended();
    follow.child.kill().unwrap();
    follow.child.wait().unwrap();
}

#[test]
fn a_killed_worker_has_a_successor() {
    let dev = Dev::start();
    signal("KILL", dev.worker);
    let died = dev.process.until(|line| line["event"] == "worker_died");
    assert_eq!((died["pid"].as_u64(), &died["how"]), (Some(dev.worker), &"SIGKILL".into()));
    let next = dev.process.until(|line| line["event"] == "worker_started");
    assert_ne!(next["pid"].as_u64(), Some(dev.worker));
}

#[test]
fn an_interrupt_stops_everything_in_order() {
    let mut dev = Dev::start();
    signal("INT", dev.process.child.id().into());
    assert_eq!(dev.process.child.wait().unwrap().code(), Some(0));
    assert_eq!(dev.all_ended(), "", "there is nothing to warn about");
    assert!(dev.dir.path().join(".tenure/tenure.db").exists());
}

#[test]
fn a_taken_address_is_said() {
    let dev = Dev::start();
    let address = dev.url.strip_prefix("http://").unwrap();
    let mut second = command(&["dev", "--listen", address]);
    let ended = Ended::of({
        second.current_dir(dev.dir.path());
        second
    });
    assert_eq!(ended.status, 1);
    assert!(ended.err.contains("is taken") && ended.err.contains("--listen"), "{}", ended.err);
}

#[test]
fn the_demo_proves_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("docs")).unwrap();
    for (name, text) in [("a.md", "# About A\n\nIt is a letter. Really."), ("b.txt", "B")] {
        fs::write(dir.path().join("docs").join(name), text).unwrap();
    }
    let mut demo = command(&["dev", "--demo", "--exit", "--listen", "127.0.0.1:0"]);
    demo.current_dir(dir.path());
    let ended = Ended::of(demo);
    assert_eq!(ended.status, 0, "{}{}", ended.out, ended.err);
    for part in [
        "digest 2 documents in docs",
        "is dead (SIGKILL)",
        "has taken the run over",
        "# Digest of 2 documents",
        "**About A** – It is a letter.",
        "✓ 10 steps were executed, each of them exactly once",
    ] {
        assert!(ended.out.contains(part), "{part} in {}", ended.out);
    }
    assert_eq!(ended.err, "");
}
