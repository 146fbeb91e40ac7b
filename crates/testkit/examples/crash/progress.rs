//! What is said while it lasts.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, interval};

use crate::runs::Runs;
use crate::site::Site;

/// How often, where lines can be written over and where they stay.
const PERIODS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// Says it, for ever: in one line on a terminal, else in a line now and then.
pub(crate) async fn say(site: &Site, runs: &Runs, began: Instant) {
    let terminal = stdout().is_terminal();
    let mut ticks = interval(if terminal { PERIODS.0 } else { PERIODS.1 });
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let line = line(site, runs, began);
        if terminal {
            print!("\r\x1b[2K{line}");
            let _ = stdout().flush();
        } else {
            println!("{line}");
        }
    }
}

/// Ends the line that was written over.
pub(crate) fn end() {
    if stdout().is_terminal() {
        println!();
    }
}

fn line(site: &Site, runs: &Runs, began: Instant) -> String {
    let (acknowledged, ended) = (runs.ledger().acknowledged.len(), runs.ended());
    let faults = site.faults.load(Ordering::Relaxed);
    let seconds = began.elapsed().as_secs();
    format!("  {seconds:3} s: {acknowledged} runs created, {ended} ended; {faults} faults")
}
