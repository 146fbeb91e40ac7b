//! Results that were too much to keep when the journal was read: read again when the code asks.

use std::collections::{HashMap, VecDeque};

use tenure_core::{EntryStatus, Error};
use tenure_proto::convert;

use super::Leased;
use crate::stop::Stop;
use crate::worker::read::read_page;

/// Pages of results at a time: parallel branches ask in different places of the journal.
const PAGES: usize = 4;

/// The pages that were read last, without the results that the code has been given.
#[derive(Default)]
pub(super) struct Results(VecDeque<HashMap<u64, EntryStatus>>);

impl Results {
    fn take(&mut self, seq: u64) -> Option<EntryStatus> {
        self.0.iter_mut().find_map(|page| page.remove(&seq))
    }

    fn put(&mut self, page: HashMap<u64, EntryStatus>) {
        self.0.retain(|page| !page.is_empty());
        if self.0.len() == PAGES {
            self.0.pop_front();
        }
        self.0.push_back(page);
    }
}

impl Leased {
    /// The result that the entry in this place of the journal has.
    pub(crate) async fn result(&self, seq: u64) -> Result<EntryStatus, Stop> {
        let _reading = self.under_way();
        // Held while a page is read: who asks for the next result finds it there.
        let mut results = self.results.lock().await;
        if let Some(result) = results.take(seq) {
            return Ok(result);
        }
        let read = self.read_results(seq).await.map_err(|error| {
            let run = self.run;
            tracing::warn!(%run, %error, "could not read the journal of a run; dropping it");
            Stop::LeaseLost
        })?;
        results.put(read);
        let missing = || Stop::failed("internal", format!("entry {seq} of the journal is missing"));
        results.take(seq).ok_or_else(missing)
    }

    /// The page of the journal that begins with this entry.
    async fn read_results(&self, seq: u64) -> Result<HashMap<u64, EntryStatus>, Error> {
        let run =
            self.check.as_ref().map_or_else(|| self.run.to_string(), |check| check.run.clone());
        let page = read_page(self.client.clone(), run, seq.saturating_sub(1)).await?;
        let entries = page.entries.into_iter().map(convert::entry_in);
        entries.map(|entry| entry.map(|entry| (entry.seq, entry.record.status))).collect()
    }
}
