//! The reader: reads runs and journals while they grow, and remembers every entry and every end
//! that anybody has seen.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenure_sdk::{Client, Error, v1};
use tokio::time::interval;

use crate::runs::Runs;

/// A run is read so often while the test lasts.
const PERIOD: Duration = Duration::from_millis(20);

/// What was seen of all runs.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Seen>);

/// What was seen, and whether it changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    runs: HashMap<String, SeenRun>,
    /// How often an entry or an end was compared with what was seen before.
    pub(crate) compared: usize,
    /// Those that had changed.
    pub(crate) changes: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct SeenRun {
    entries: HashMap<u64, v1::Entry>,
    ended: Option<v1::Run>,
}

impl Seen {
    /// How many different entries of a run were seen.
    pub(crate) fn count(&self, run: &str) -> usize {
        self.runs.get(run).map_or(0, |run| run.entries.len())
    }

    /// Compares an entry with what was seen in its place before.
    pub(crate) fn see(&mut self, run: &str, entry: &v1::Entry) {
        let Self { runs, compared, changes } = self;
        let before = runs.entry(run.to_owned()).or_default().entries.entry(entry.seq);
        let before = before.or_insert_with(|| entry.clone());
        *compared += 1;
        if before != entry {
            changes.push(format!("{run}: was {before:?}, is {entry:?}"));
        }
    }

    /// Compares a run that has ended with how it was seen to end before; whether it has.
    pub(crate) fn see_run(&mut self, run: &v1::Run) -> bool {
        let Self { runs, compared, changes } = self;
        let before = &mut runs.entry(run.id.clone()).or_default().ended;
        if run.ended_at.is_some() {
            let before = before.get_or_insert_with(|| run.clone());
            *compared += 1;
            if before != run {
                changes.push(format!("the run had ended as {before:?}, and is {run:?}"));
            }
        }
        run.ended_at.is_some()
    }

    /// Notes that a run was found that goes on, although its end had been seen before it was asked
    /// for.
    pub(crate) fn revived(&mut self, run: &v1::Run) {
        self.changes.push(format!("the run had ended, and is {run:?}"));
    }
}

impl Memory {
    /// What was seen so far.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers an entry, or compares it.
    pub(crate) fn see(&self, run: &str, entry: &v1::Entry) {
        self.seen().see(run, entry);
    }

    /// Remembers how a run has ended, or compares it; whether it has.
    pub(crate) fn see_run(&self, run: &v1::Run) -> bool {
        self.seen().see_run(run)
    }

    /// Whether the run was seen to have ended.
    pub(crate) fn ended(&self, run: &str) -> bool {
        self.seen().runs.get(run).is_some_and(|run| run.ended.is_some())
    }

    /// Reads runs in turn by chance, for ever.
    pub(crate) async fn sample(&self, runs: &Runs) {
        let mut again = interval(PERIOD);
        loop {
            again.tick().await;
            let run = fastrand::choice(&runs.ledger().acknowledged).cloned();
            let Some(run) = run else { continue };
            // While the control planes are away there is nothing to read, and it is tried again.
            let _ = self.look(&runs.client, &run).await;
        }
    }

    /// Reads a run and its journal, and compares them with what was seen before.
    pub(crate) async fn look(
        &self,
        client: &Client,
        run: &str,
    ) -> Result<(v1::Run, Vec<v1::Entry>), Error> {
        let had_ended = self.ended(run);
        let now = get(client, run).await?;
        if !self.see_run(&now) && had_ended {
            self.seen().revived(&now);
        }
        let journal = journal(client, run).await?;
        for entry in &journal {
            self.see(run, entry);
        }
        Ok((now, journal))
    }
}

async fn get(client: &Client, run: &str) -> Result<v1::Run, Error> {
    let request =
        v1::GetRunRequest { tenant: client.tenant().to_string(), run: run.into(), wait: None };
    let get = || {
        let (mut runs, request) = (client.runs(), request.clone());
        async move { runs.get_run(request).await }
    };
    client.retry(get).await
}

/// A whole journal.
async fn journal(client: &Client, run: &str) -> Result<Vec<v1::Entry>, Error> {
    let mut entries: Vec<v1::Entry> = Vec::new();
    loop {
        let request = v1::ListEntriesRequest {
            tenant: client.tenant().to_string(),
            run: run.to_owned(),
            after_seq: entries.last().map_or(0, |entry| entry.seq),
            page_size: 0,
        };
        let read = || {
            let (mut runs, request) = (client.runs(), request.clone());
            async move { runs.list_entries(request).await }
        };
        let page = client.retry(read).await?;
        entries.extend(page.entries);
        if !page.more {
            return Ok(entries);
        }
    }
}
