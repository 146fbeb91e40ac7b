//! How many instructions the pure hot paths take, compared with what is recorded.
//!
//! `scripts/counts` builds and runs it. Time says what a machine does in a minute; instructions say
//! what the code does, and are the same tomorrow: so they are what a change is judged by.

mod count;
mod paths;
mod recorded;
mod report;
mod samples;

use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use recorded::Recorded;

/// The allocator of the binaries; and the C library's differs from system to system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("counts: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the arguments say; false if a path is not as recorded.
fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => check(),
        ["--record"] => record().map(|()| true),
        ["--execute", path, times] => paths::execute(path, times.parse()?).map(|()| true),
        _ => bail!("usage: scripts/counts [--record]"),
    }
}

fn check() -> Result<bool> {
    let report = report::compare(&Recorded::read()?, &Recorded::now()?);
    println!("{report}");
    Ok(report.passed())
}

fn record() -> Result<()> {
    let now = Recorded::now()?;
    let (rustc, promised) = (&now.rustc, report::RUSTC);
    ensure!(
        report::promised(rustc),
        "this is rustc {rustc}: record with {promised}, which CI uses"
    );
    // The first time there is nothing to compare with.
    let before = Recorded::read().unwrap_or_default();
    now.write()?;
    print!("{}", report::compare(&before, &now).table());
    Ok(())
}
