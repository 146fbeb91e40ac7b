//! The binary where there is no database.

use std::process::{Command, Output};

fn start(wait: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tenure-control-plane"))
        .args(["--database-url", "postgres://nobody:sesame@127.0.0.1:1/x"])
        .args(["--database-wait", wait, "--listen", "127.0.0.1:0"])
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary starts")
}

#[test]
fn a_database_that_stays_away_ends_the_process() {
    let ended = start("1");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("the database is unavailable"), "{said}");
    assert!(said.contains("trying again for 1 s"), "{said}");
    assert!(said.contains("check --database-url"), "{said}");
    // NO-SECRET: the URL holds the password.
    assert!(!said.contains("sesame"), "{said}");
}

#[test]
fn it_need_not_be_waited_for() {
    let ended = start("0");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(!said.contains("trying again"), "{said}");
}
