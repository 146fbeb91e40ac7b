//! Counting, by valgrind.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Executions in the shorter of two processes; the longer one has twice as many. What both do
/// besides, starting and making inputs, is the same and cancels out.
const TIMES: usize = 500;
/// The most executions that a process is asked for.
pub(crate) const MOST: usize = 2 * TIMES;

/// The instructions of one execution of a path.
pub(crate) fn instructions(path: &str) -> Result<u64> {
    let (few, many) = (of_process(path, TIMES)?, of_process(path, MOST)?);
    let more = many.checked_sub(few).context("more executions took fewer instructions")?;
    Ok(more / TIMES as u64)
}

fn of_process(path: &str, times: usize) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--execute", path, &times.to_string()])
        // Memory is given back to the system by the clock, which would count differently each time.
        .env("MIMALLOC_PURGE_DELAY", "-1")
        .output()
        .context("valgrind cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{path}` failed under valgrind: {said}");
    total(&said).with_context(|| format!("valgrind has not said how many instructions: {said}"))
}

/// The number in valgrind's line `==7== I refs:  1,234`; older versions have more blanks.
fn total(said: &str) -> Option<u64> {
    said.lines().find_map(|line| {
        let [_, "I", "refs:", number] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return None;
        };
        number.replace(',', "").parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found_in_what_each_version_says() {
        let old = "==1== Cachegrind, a cache and branch-prediction profiler\n==1== I   refs:      1,234\n";
        assert_eq!(total(old), Some(1_234));
        assert_eq!(total("==1== \n==1== I refs:        21,234,567\n"), Some(21_234_567));
        assert_eq!(total("==1== Command: x I refs: 7"), None);
    }
}
