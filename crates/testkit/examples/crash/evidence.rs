//! What is looked at afterwards: all runs and journals as the control plane gives them, and the log.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use tenure_sdk::{Client, v1};

use crate::log::Event;
use crate::memory::{Memory, journal};
use crate::runs::Runs;

/// Everything that the verdict is about.
pub(crate) struct Evidence {
    /// The acknowledged runs.
    pub(crate) found: Vec<Found>,
    /// How many runs the control plane knows altogether.
    pub(crate) listed: usize,
    pub(crate) events: Vec<Event>,
}

/// A run as it ended.
pub(crate) struct Found {
    pub(crate) run: v1::Run,
    pub(crate) journal: Vec<v1::Entry>,
}

impl Found {
    /// The result of an entry.
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
}

/// Asks the control plane for everything, and shows it to the memory a last time.
pub(crate) async fn gather(
    runs: &Runs,
    memory: &Memory,
    events: Vec<Event>,
) -> anyhow::Result<Evidence> {
    let mut found = Vec::new();
    for id in runs.acknowledged() {
        let run = get(&runs.client, &id).await.with_context(|| format!("{id} is lost"))?;
        let journal = journal(&runs.client, &id).await?;
        for entry in &journal {
            memory.see(&id, entry.clone());
        }
        found.push(Found { run, journal });
    }
    Ok(Evidence { found, listed: count(&runs.client).await?, events })
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

async fn get(client: &Client, run: &str) -> Result<v1::Run, tenure_sdk::Error> {
    let request = v1::GetRunRequest { tenant: client.tenant().to_string(), run: run.into() };
    let get = || {
        let (mut runs, request) = (client.runs(), request.clone());
        async move { runs.get_run(request).await }
    };
    client.retry(get).await
}

async fn count(client: &Client) -> Result<usize, tenure_sdk::Error> {
    let mut request =
        v1::ListRunsRequest { tenant: client.tenant().to_string(), ..Default::default() };
    let mut count = 0;
    loop {
        let list = || {
            let (mut runs, request) = (client.runs(), request.clone());
            async move { runs.list_runs(request).await }
        };
        let page = client.retry(list).await?;
        count += page.runs.len();
        if page.next_page_token.is_empty() {
            return Ok(count);
        }
        request.page_token = page.next_page_token;
    }
}
