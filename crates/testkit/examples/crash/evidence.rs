//! What is looked at afterwards: all runs and journals as the control planes give them, the log,
//! and what the client and the reader remember.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tenure_sdk::{Client, v1};
use tokio::task::JoinSet;

use crate::log::Line;
use crate::memory::{Memory, Seen};
use crate::program::{self, Part};
use crate::runs::{Ledger, Runs};

/// Runs that are read at a time.
const READERS: usize = 8;

/// Everything that the verdict is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// The acknowledged runs.
    pub(crate) found: Vec<Found>,
    /// All runs that the control plane knows, without their input and output.
    pub(crate) listed: Vec<v1::Run>,
    pub(crate) log: Vec<Line>,
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
    /// The result of an entry, if it is a number.
    pub(crate) fn value(entry: &v1::Entry) -> Option<u64> {
        match entry.record.as_ref()?.status.as_ref()? {
            v1::record::Status::Succeeded(payload) => serde_json::from_slice(&payload.data).ok(),
            v1::record::Status::Failed(_)
            | v1::record::Status::Opened(_)
            | v1::record::Status::Steered(_) => None,
        }
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
    pub(crate) fn program(&self) -> Vec<Part> {
        program::of(self.input())
    }

    /// The journal by keys.
    pub(crate) fn by_key(&self) -> BTreeMap<&str, &v1::Entry> {
        self.journal.iter().map(|entry| (Self::key(entry), entry)).collect()
    }
}

/// Asks the control planes for everything, and shows it to the memory a last time.
pub(crate) async fn gather(
    runs: &Arc<Runs>,
    memory: &Arc<Memory>,
    log: Vec<Line>,
) -> anyhow::Result<Evidence> {
    let ledger = runs.ledger().clone();
    let mut found = Vec::new();
    for some in ledger.acknowledged.chunks(READERS) {
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
    Ok(Evidence { found, listed: list(&runs.client).await?, log, ledger, seen })
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

async fn list(client: &Client) -> Result<Vec<v1::Run>, tenure_sdk::Error> {
    let mut request =
        v1::ListRunsRequest { tenant: client.tenant().to_string(), ..Default::default() };
    let mut all = Vec::new();
    loop {
        let list = || {
            let (mut runs, request) = (client.runs(), request.clone());
            async move { runs.list_runs(request).await }
        };
        let page = client.retry(list).await?;
        all.extend(page.runs);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}
