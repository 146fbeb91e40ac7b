//! The end of the log while it grows: for faults that wait for their moment.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use tokio::time::interval;

use super::{Event, Execution, Line};

/// How far back a step may have begun that is still being executed, in bytes.
const BACK: u64 = 128 << 10;
/// How often it is looked for new lines: a fraction of a step.
const PERIOD: Duration = Duration::from_millis(3);

/// Returns when this worker begins to execute a step.
pub(crate) async fn busy(log: &Path, worker: &str) -> std::io::Result<()> {
    let mut tail = Tail::open(log, 0)?;
    let mut ticks = interval(PERIOD);
    let begins = |line: Line| matches!(line.event, Event::Started(by) if by.worker == worker);
    while !tail.lines()?.into_iter().any(begins) {
        ticks.tick().await;
    }
    Ok(())
}

/// Returns when another worker executes what this one, which is frozen, was executing: the moment in
/// which a late result would do most harm. Never returns if it executed nothing.
pub(crate) async fn replaced(log: &Path, worker: &str) -> std::io::Result<()> {
    let mut tail = Tail::open(log, BACK)?;
    let mut executing = HashSet::new();
    let mut ticks = interval(PERIOD);
    loop {
        for line in tail.lines()? {
            match line.event {
                Event::Started(execution) if execution.worker == worker => {
                    executing.insert(step(&execution));
                }
                Event::Recorded(execution) if execution.worker == worker => {
                    executing.remove(&step(&execution));
                }
                Event::Started(execution) if executing.contains(&step(&execution)) => {
                    return Ok(());
                }
                _ => {}
            }
        }
        ticks.tick().await;
    }
}

fn step(execution: &Execution) -> (String, String) {
    (execution.run.clone(), execution.key.clone())
}

/// A log that is read from near its end.
struct Tail {
    file: File,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
}

impl Tail {
    /// From so many bytes before its end.
    fn open(log: &Path, back: u64) -> std::io::Result<Self> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(back)))?;
        Ok(Self { file, rest: Vec::new() })
    }

    /// The lines that have come since the last time.
    fn lines(&mut self) -> std::io::Result<Vec<Line>> {
        self.file.read_to_end(&mut self.rest)?;
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        let lines = lines.split(|byte| *byte == b'\n');
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;

    fn started(worker: &str, run: &str) -> Event {
        let (worker, run, key) = (worker.into(), run.into(), "key".into());
        Event::Started(Execution { worker, run, key, epoch: 1, value: 1 })
    }

    #[tokio::test]
    async fn a_worker_is_busy_when_it_begins_a_step() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = Log::open(file.path()).unwrap();
        log.write(started("a", "before")).unwrap();
        let mut busy = Box::pin(busy(file.path(), "a"));
        tokio::select! {
            biased;
            _ = &mut busy => panic!("that was before"),
            () = std::future::ready(()) => {}
        }
        log.write(started("b", "now")).unwrap();
        log.write(started("a", "now")).unwrap();
        busy.await.unwrap();
    }

    #[tokio::test]
    async fn a_worker_is_replaced_when_another_does_what_it_did() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = Log::open(file.path()).unwrap();
        log.write(started("frozen", "a")).unwrap();
        let mut replaced = Box::pin(replaced(file.path(), "frozen"));
        log.write(started("other", "b")).unwrap();
        tokio::select! {
            biased;
            _ = &mut replaced => panic!("it was doing something else"),
            () = std::future::ready(()) => {}
        }
        log.write(started("other", "a")).unwrap();
        replaced.await.unwrap();
    }
}
