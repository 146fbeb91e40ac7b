//! What is looked at afterwards: all runs and journals as the control planes give them, the log,
//! and what the client and the reader remember.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tenure_sdk::v1;
use tokio::task::JoinSet;

use crate::log::{self, Line};
use crate::memory::{Memory, Seen};
use crate::program::{self, Program};
use crate::runs::{Ledger, Runs};

/// Runs that are read at a time.
const READERS: usize = 8;

/// Everything that the verdict is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// The acknowledged runs, and those that they and others have called.
    pub(crate) found: Vec<Found>,
    /// All runs that the control plane knows, without their input and output.
    pub(crate) listed: Vec<v1::Run>,
    /// All questions.
    pub(crate) interrupts: Vec<v1::Interrupt>,
    pub(crate) log: Vec<Line>,
    /// The log of what must not happen twice.
    pub(crate) world: Vec<Line>,
    pub(crate) ledger: Ledger,
    pub(crate) seen: Seen,
}

/// A run as it ended.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) run: v1::Run,
    pub(crate) journal: Vec<v1::Entry>,
}

impl Found {
    /// What an entry gave.
    pub(crate) fn result(entry: &v1::Entry) -> Option<&v1::Payload> {
        match entry.record.as_ref()?.status.as_ref()? {
            v1::record::Status::Succeeded(payload) => Some(payload),
            v1::record::Status::Failed(_)
            | v1::record::Status::Opened(_)
            | v1::record::Status::Steered(_) => None,
        }
    }

    /// The same, if it is a number.
    pub(crate) fn value(entry: &v1::Entry) -> Option<u64> {
        serde_json::from_slice(&Self::result(entry)?.data).ok()
    }

    /// Whether an entry only says that something has begun.
    pub(crate) fn opens(entry: &v1::Entry) -> bool {
        let status = entry.record.as_ref().and_then(|record| record.status.as_ref());
        matches!(status, Some(v1::record::Status::Opened(_)))
    }

    /// The key of an entry.
    pub(crate) fn key(entry: &v1::Entry) -> &str {
        entry.record.as_ref().map_or("", |record| &record.key)
    }

    /// What decides about the run's program.
    pub(crate) fn input(&self) -> u64 {
        let input = self.run.input.as_ref();
        let input = input.and_then(|input| serde_json::from_slice(&input.data).ok());
        input.unwrap_or_default()
    }

    /// What the run does.
    pub(crate) fn program(&self) -> Program {
        program::of(&self.run.agent, self.input())
    }

    /// Whether another run has called it.
    pub(crate) fn is_called(&self) -> bool {
        !self.run.parent.is_empty()
    }

    /// The journal by keys, each with its last entry.
    pub(crate) fn by_key(&self) -> BTreeMap<&str, &v1::Entry> {
        self.journal.iter().map(|entry| (Self::key(entry), entry)).collect()
    }
}

/// Asks the control planes for everything, and shows it to the memory a last time.
pub(crate) async fn gather(
    runs: &Arc<Runs>,
    memory: &Arc<Memory>,
    directory: &Path,
) -> anyhow::Result<Evidence> {
    let (log, world) = (log::read(&log::events(directory))?, log::read(&log::world(directory))?);
    let ledger = runs.ledger().clone();
    let listed = runs.list(false).await?;
    let called = listed.iter().filter(|run| !run.parent.is_empty());
    let ids: Vec<String> =
        ledger.acknowledged.iter().cloned().chain(called.map(|run| run.id.clone())).collect();
    let mut found = Vec::new();
    for some in ids.chunks(READERS) {
        let mut reading = JoinSet::new();
        for id in some.iter().cloned() {
            let (runs, memory) = (runs.clone(), memory.clone());
            reading.spawn(async move {
                let (run, journal) = memory.look(&runs.client, &id).await.context(id)?;
                anyhow::Ok(Found { run, journal })
            });
        }
        while let Some(read) = reading.join_next().await {
            found.push(read?.context("an acknowledged run is lost")?);
        }
    }
    let seen = std::mem::take(&mut *memory.seen());
    let interrupts = runs.interrupts("").await?;
    Ok(Evidence { found, listed, interrupts, log, world, ledger, seen })
}

impl Evidence {
    /// Writes the runs and journals down, for those who want to know why it failed.
    pub(crate) fn keep(&self, path: &Path) -> anyhow::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for Found { run, journal } in &self.found {
            serde_json::to_writer(&mut file, &(run, journal))?;
            file.write_all(b"\n")?;
        }
        Ok(file.flush()?)
    }
}
