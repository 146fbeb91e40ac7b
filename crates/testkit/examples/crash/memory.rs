//! The reader: reads journals while they grow, and remembers every entry that anybody has seen.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenure_sdk::{Client, Error, v1};
use tokio::time::interval;

use crate::runs::Runs;

/// A journal is read so often while the test runs.
const PERIOD: Duration = Duration::from_millis(20);

/// Every entry that was seen, by run and `seq`.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    entries: HashMap<(String, u64), v1::Entry>,
    compared: usize,
    changes: Vec<String>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares an entry with what was seen in its place before.
    pub(crate) fn see(&self, run: &str, entry: v1::Entry) {
        let mut seen = self.lock();
        let Seen { entries, compared, changes } = &mut *seen;
        match entries.entry((run.to_owned(), entry.seq)) {
            Place::Vacant(place) => {
                place.insert(entry);
            }
            Place::Occupied(before) => {
                *compared += 1;
                if *before.get() != entry {
                    changes.push(format!("{run}: was {:?}, is {entry:?}", before.get()));
                }
            }
        }
    }

    /// How often an entry was compared, and those that had changed.
    pub(crate) fn changes(&self) -> (usize, Vec<String>) {
        let seen = self.lock();
        (seen.compared, seen.changes.clone())
    }

    /// How many different entries of a run were seen.
    pub(crate) fn count(&self, run: &str) -> usize {
        self.lock().entries.keys().filter(|(seen, _)| seen == run).count()
    }

    /// Reads journals in turn by chance, for ever.
    pub(crate) async fn sample(&self, runs: &Runs) {
        let mut again = interval(PERIOD);
        loop {
            again.tick().await;
            let known = runs.acknowledged();
            let Some(run) = fastrand::choice(&known) else { continue };
            // While the control plane is away there is nothing to read, and it is tried again.
            for entry in journal(&runs.client, run).await.unwrap_or_default() {
                self.see(run, entry);
            }
        }
    }
}

/// A whole journal.
pub(crate) async fn journal(client: &Client, run: &str) -> Result<Vec<v1::Entry>, Error> {
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
