//! The tools that search and change files.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tenure_agents::ModelConfig;
use tenure_agents::tools::Files;
use tenure_agents::tools::files::{Edit, MATCHES, Search};

use crate::rig::{Nobody, Rig, output};
use crate::takeover::Counter;

/// A folder `given`, to be written, and beside it a file that is not to be reached.
fn folder() -> (TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    let given = dir.path().join("given");
    fs::create_dir_all(given.join("src")).unwrap();
    fs::create_dir(given.join(".git")).unwrap();
    fs::write(given.join("src/a.py"), "def one():\n    return 1\n\ndef two():\n    return 1\n")
        .unwrap();
    fs::write(dir.path().join("outside.txt"), "outside").unwrap();
    let files = Files::open(&given).unwrap().writable(true);
    (dir, files)
}

fn edit(old: &str, new: &str) -> Edit {
    Edit { path: "src/a.py".into(), old: old.into(), new: new.into(), all: false }
}

fn search(text: &str) -> Search {
    Search { text: text.into(), ..Search::default() }
}

#[tokio::test]
async fn a_file_is_written_whole_with_its_folders() {
    let (dir, files) = folder();
    files.write("new/deep/b.txt", "one").await.unwrap();
    assert_eq!(files.read("new/deep/b.txt").await.unwrap(), "one");

    let program = dir.path().join("given/run.sh");
    fs::write(&program, "old").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o750)).unwrap();
    assert_eq!(files.write("run.sh", "new").await.unwrap().size, 3);
    assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o750);
    let left = fs::read_dir(dir.path().join("given")).unwrap().count();
    assert_eq!(left, 4, "nothing is left beside the files");
}

#[tokio::test]
async fn nothing_is_written_outside_in_hidden_places_or_without_permission() {
    let (dir, files) = folder();
    let given = dir.path().join("given");
    symlink("..", given.join("up")).unwrap();
    symlink(".git", given.join("visible")).unwrap();
    symlink("../outside.txt", given.join("link.txt")).unwrap();
    for path in [
        "../outside.txt",
        "/tmp/tenure-outside",
        "up/outside.txt",
        "up/new.txt",
        ".env",
        ".git/hooks/pre-commit",
        "visible/config",
        "src",
        "..",
        "",
    ] {
        assert!(files.write(path, "hacked").await.is_err(), "{path}");
    }
    // In place of the link, not where it leads.
    files.write("link.txt", "mine").await.unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("outside.txt")).unwrap(), "outside");
    assert!(!dir.path().join("new.txt").exists());
    assert_eq!(fs::read_dir(given.join(".git")).unwrap().count(), 0);

    let locked = Files::open(&given).unwrap();
    let failure = locked.write("b.txt", "").await.unwrap_err();
    assert!(failure.message.contains("--files-write"), "{}", failure.message);
    assert_eq!(locked.plan(&edit("one", "1")).await.unwrap_err().code, "file_read_only");
    let long = "x".repeat(300 << 10);
    assert_eq!(files.write("long.txt", &long).await.unwrap_err().code, "file_size");
}

#[tokio::test]
async fn an_edit_finds_its_one_place_and_shows_what_changes() {
    let (_dir, files) = folder();
    let once = edit("def two():\n    return 1", "def two():\n    return 2");
    let plan = files.plan(&once).await.unwrap();
    assert_eq!(plan.replaced, 1);
    for line in ["-    return 1\n", "+    return 2\n", " def two():\n"] {
        assert!(plan.diff.contains(line), "{}", plan.diff);
    }
    for (old, code) in [("return 1", "edit_ambiguous"), ("return 3", "edit_not_found")] {
        assert_eq!(files.plan(&edit(old, "")).await.unwrap_err().code, code);
    }
    let all = Edit { all: true, ..edit("return 1", "return 3") };
    assert_eq!(files.plan(&all).await.unwrap().replaced, 2);
}

#[tokio::test]
async fn a_repeated_edit_changes_nothing_more() {
    let (_dir, files) = folder();
    // What is inserted contains what was looked for: by the text alone it would be edited again.
    let edit = edit("def one():", "# first\ndef one():");
    let plan = files.plan(&edit).await.unwrap();
    for _ in 0..2 {
        files.edit(&edit, &plan).await.unwrap();
        assert_eq!(files.read("src/a.py").await.unwrap().matches("# first").count(), 1);
    }
    files.write("src/a.py", "def one(): pass").await.unwrap();
    assert_eq!(files.edit(&edit, &plan).await.unwrap_err().code, "edit_conflict");
}

#[tokio::test]
async fn a_search_tells_files_and_lines() {
    let (dir, files) = folder();
    let given = dir.path().join("given");
    fs::write(given.join("raw.bin"), [0, 255, b'd', b'e', b'f']).unwrap();
    fs::write(given.join(".git/config"), "def hidden").unwrap();
    fs::write(given.join("b.txt"), format!("DEF.*\n{}def", "é".repeat(400))).unwrap();

    let places = |found: tenure_agents::tools::files::Findings| -> Vec<String> {
        found.matches.iter().map(|found| format!("{}:{}", found.path, found.line)).collect()
    };
    let all = files.search(search("def")).await.unwrap();
    assert!(all.matches[0].text.ends_with("é…"));
    assert_eq!(places(all), ["b.txt:2", "src/a.py:1", "src/a.py:4"]);
    let regex = Search { regex: true, ..search(r"^def t\w+") };
    assert_eq!(places(files.search(regex).await.unwrap()), ["src/a.py:4"]);
    let folded = Search { ignore_case: true, files: ".txt".into(), ..search("def.*") };
    assert_eq!(places(files.search(folded).await.unwrap()), ["b.txt:1"]);
    let around = Search { context: 1, ..search("def two") };
    assert_eq!(files.search(around).await.unwrap().matches[0].text, "\ndef two():\n    return 1");

    for pattern in ["(", "(((a{1000}){1000}){1000})"] {
        let wrong = Search { regex: true, ..search(pattern) };
        assert_eq!(files.search(wrong).await.unwrap_err().code, "search_pattern", "{pattern}");
    }
    fs::write(given.join("many.txt"), "hit\n".repeat(MATCHES + 1)).unwrap();
    let many = files.search(search("hit")).await.unwrap();
    assert_eq!((many.matches.len(), many.more), (MATCHES, true));
}

/// An agent that makes two edits of one file in one message, then writes another.
const EDITOR: &str = r"
name: editor
tools: [edit_file, write_file, search_files, todo, time]
model:
  provider: scripted
  name: editor
  script:
    turns:
      - calls:
          - {tool: todo, arguments: {tasks: [{task: edit, state: active}, {task: write, state: open}]}}
          - {tool: edit_file, arguments: {path: a.py, old: one, new: one one}}
          - {tool: edit_file, arguments: {path: a.py, old: two, new: two two}}
      - calls: [{tool: write_file, arguments: {path: b.py, text: done}}]
      - calls: [{tool: search_files, arguments: {text: one, files: .py}}]
      - text: '{{ (last|fromjson).matches[0].text }}'
";

#[tokio::test]
async fn edits_of_one_message_follow_one_another() {
    let mut rig = Rig::with(&[("a.py", "one, two")]).await;
    rig.base.files_write = true;
    let run = rig.ended(EDITOR, Arc::new(Nobody)).await;
    assert_eq!(output(&run), json!("one one, two two"));
    assert_eq!(fs::read_to_string(rig.files.path().join("b.py")).unwrap(), "done");
}

#[tokio::test]
async fn without_the_permit_the_model_is_told() {
    let rig = Rig::with(&[("a.py", "one, two")]).await;
    let run = rig.ended(EDITOR, Arc::new(Nobody)).await;
    assert_eq!(output(&run), json!("one, two"));
    let records = rig.records(&run).await;
    let refused = records.iter().filter(|record| crate::rig::failed(record).is_some()).count();
    assert_eq!(refused, 3);
}

#[tokio::test]
async fn after_a_crash_before_any_step_the_files_are_the_same() {
    let mut crashes = 0;
    for crash in 0.. {
        let mut rig = Rig::with(&[("a.py", "one, two")]).await;
        rig.base.files_write = true;
        rig.publish(EDITOR).await;
        let first = Counter::holding(crash);
        let process = rig.process(ModelConfig::default(), first.clone());
        let run = rig.app.create("editor", "null").await;
        let held = tokio::select! {
            () = first.held.notified() => true,
            _ = rig.app.ended(&run) => false,
        };
        if !held {
            break;
        }
        let dead = rig.app.run(&run).await.worker;
        process.kill();
        let _successor = rig.process(ModelConfig::default(), Arc::new(Nobody));
        let ended = rig.ended_after(&dead, &run).await;
        assert_eq!(output(&ended), Value::from("one one, two two"), "crash before step {crash}");
        crashes += 1;
    }
    assert_eq!(crashes, 11, "steps of the agent");
}

/// An agent that reads its own results, and one that is not there.
const READER: &str = r"
name: reader
tools: [write_artifact, list_artifacts, read_artifact]
model:
  provider: scripted
  name: reader
  script:
    turns:
      - calls: [{tool: write_artifact, arguments: {name: a.md, text: kept}}]
      - calls: [{tool: list_artifacts}]
      - calls:
          - tool: read_artifact
            each: /artifacts
            arguments: {name: '{{ item.artifact }}'}
          - {tool: read_artifact, arguments: {name: gone.md}}
      - text: '{{ results[0] }} {{ results[1] }}'
";

#[tokio::test]
async fn a_run_reads_what_it_has_written() {
    let rig = Rig::with(&[]).await;
    let told = output(&rig.ended(READER, Arc::new(Nobody)).await);
    let told = told.as_str().unwrap();
    assert!(told.starts_with(r#"{"artifact":"a.md","text":"kept"} {"error":"#), "{told}");
}
