//! The binary and its Redis.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn control_plane(redis: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure-control-plane"));
    command.args(["--database-url", "sqlite::memory:", "--listen", "127.0.0.1:0"]);
    command.args(["--redis-url", redis]).env_remove("RUST_LOG");
    command
}

#[test]
fn a_wrong_url_ends_the_process_with_a_sentence() {
    let ended = control_plane("redis://:sesame@localhost/x").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("could not use --redis-url"), "{said}");
    assert!(said.contains("this is not the URL of a Redis"), "{said}");
    // NO-SECRET: the URL holds the password.
    assert!(!said.contains("sesame"), "{said}");
}

#[test]
fn a_redis_that_is_away_is_a_line_in_the_log() {
    let mut plane = control_plane("redis://:sesame@127.0.0.1:1");
    let mut plane = plane.stderr(Stdio::piped()).spawn().unwrap();
    let (mut said, mut listening, mut away) = (String::new(), false, false);
    for line in BufReader::new(plane.stderr.take().unwrap()).lines() {
        said += &line.unwrap();
        listening |= said.contains("listening on 127.0.0.1:");
        away |= said.contains("no hints through Redis at 127.0.0.1:1");
        if listening && away {
            break;
        }
    }
    plane.kill().unwrap();
    plane.wait().unwrap();
    assert!(listening && away, "{said}");
    assert!(!said.contains("sesame"), "{said}");
}
