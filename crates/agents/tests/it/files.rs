//! The folder of the file tools: what is seen, and what cannot be.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use tenure_agents::tools::{Files, files};

/// A folder `given` with documents, and beside it a secret.
fn folder() -> (TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    let given = dir.path().join("given");
    fs::create_dir_all(given.join("notes/old")).unwrap();
    fs::create_dir(given.join(".git")).unwrap();
    for (path, text) in [
        ("b.md", "# B"),
        ("a.txt", "a"),
        ("notes/c.MD", "c"),
        ("notes/old/d.md", "d"),
        ("notes/picture.png", "no text"),
        (".git/e.md", "hidden"),
        ("../secret.md", "secret"),
    ] {
        fs::write(given.join(path), text).unwrap();
    }
    let files = Files::open(&given).unwrap();
    (dir, files)
}

async fn paths(files: &Files, pattern: &str) -> Vec<String> {
    let listing = files.list(pattern).await.unwrap();
    assert!(!listing.more);
    listing.files.into_iter().map(|file| file.path).collect()
}

#[tokio::test]
async fn a_listing_has_text_files_by_path() {
    let (_dir, files) = folder();
    assert_eq!(paths(&files, "").await, ["a.txt", "b.md", "notes/c.MD", "notes/old/d.md"]);
    assert_eq!(files.list("").await.unwrap().files[1].size, 3);
}

#[tokio::test]
async fn a_pattern_is_an_ending() {
    let (_dir, files) = folder();
    for pattern in [".md", "*.md", "**/*.md"] {
        assert_eq!(paths(&files, pattern).await, ["b.md", "notes/old/d.md"], "{pattern}");
    }
    assert_eq!(paths(&files, "notes/**/*.md").await, ["notes/old/d.md"]);
    assert_eq!(paths(&files, "[ab].*").await, ["a.txt", "b.md"]);
    assert_eq!(paths(&files, "notes/*.MD").await, ["notes/c.MD"], "a star stays in its folder");
    assert_eq!(paths(&files, ".png").await, ["notes/picture.png"]);
    assert_eq!(files.list("a[b.md").await.unwrap_err().code, "file_pattern");
}

#[tokio::test]
async fn a_listing_is_cut_at_its_limit_and_says_so() {
    let (dir, files) = folder();
    for number in 0..files::FILES {
        fs::write(dir.path().join(format!("given/z{number:04}.md")), "").unwrap();
    }
    let listing = files.list("").await.unwrap();
    assert_eq!((listing.files.len(), listing.more), (files::FILES, true));
}

#[tokio::test]
async fn files_are_read_as_text_up_to_the_limit() {
    let (dir, files) = folder();
    let given = dir.path().join("given");
    assert_eq!(files.read("notes/old/d.md").await.unwrap(), "d");
    assert_eq!(files.read("notes/../b.md").await.unwrap(), "# B");

    let limit = usize::try_from(files::FILE).unwrap();
    fs::write(given.join("full.md"), "x".repeat(limit)).unwrap();
    assert_eq!(files.read("full.md").await.unwrap().len(), limit);
    fs::write(given.join("long.md"), "x".repeat(limit + 1)).unwrap();
    fs::write(given.join("raw.md"), [0xff, 0xfe]).unwrap();
    for (path, code) in [
        ("long.md", "file_size"),
        ("raw.md", "file_text"),
        ("notes", "file_kind"),
        ("gone.md", "file_not_found"),
    ] {
        let failure = files.read(path).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.retryable), (code, false));
        assert!(failure.message.contains(path), "{}", failure.message);
    }
}

#[tokio::test]
async fn no_path_leads_outside() {
    let (dir, files) = folder();
    let given = dir.path().join("given");
    let secret = dir.path().join("secret.md");
    symlink("../secret.md", given.join("relative.md")).unwrap();
    symlink(&secret, given.join("absolute.md")).unwrap();
    symlink("..", given.join("up")).unwrap();
    symlink("notes", given.join("inside")).unwrap();

    let absolute = secret.to_string_lossy();
    for path in [
        "../secret.md",
        "notes/../../secret.md",
        &absolute,
        "/etc/passwd",
        "relative.md",
        "absolute.md",
        "up/secret.md",
        "inside/../../secret.md",
        "b.md/../../secret.md",
        "\0",
        "",
    ] {
        let failure = files.read(path).await.unwrap_err();
        assert!(!failure.message.contains(&*given.to_string_lossy()), "{}", failure.message);
    }
    assert_eq!(files.read("inside/c.MD").await.unwrap(), "c", "links inside the folder are fine");
    assert!(!paths(&files, "").await.iter().any(|path| path.contains("secret")));
}

#[tokio::test]
async fn a_pipe_is_refused_and_not_waited_for() {
    let (dir, files) = folder();
    let pipe = dir.path().join("given/pipe.md");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    assert_eq!(files.read("pipe.md").await.unwrap_err().code, "file_kind");
    assert!(!paths(&files, "").await.contains(&"pipe.md".into()));
}
