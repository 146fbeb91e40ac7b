//! What a leased run starts from: its journal and its specification.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tenure_core::{Entry, Error};
use tenure_proto::{convert, v1};

use super::check::Check;
use crate::client::Client;

/// The journal of a leased run, or of the run that it checks, as it was when it was leased.
pub(super) async fn read_journal(
    client: &Client,
    wire: &mut v1::LeasedRun,
) -> Result<Vec<Entry>, Error> {
    let check = Check::of(wire);
    let length = check.as_ref().map_or(wire.next_seq.saturating_sub(1), |check| check.entries);
    let run = check.map_or_else(|| wire.run.clone(), |check| check.run);
    let mut journal = entries(std::mem::take(&mut wire.entries))?;
    let mut more = wire.more;
    while more && (journal.len() as u64) < length {
        let after_seq = journal.last().map_or(0, |entry: &Entry| entry.seq);
        let page = read_page(client, &run, after_seq).await?;
        more = page.more;
        journal.extend(entries(page.entries)?);
    }
    journal.retain(|entry| entry.seq <= length);
    // Code that started on half a journal would do the other half again.
    if journal.len() as u64 != length {
        let read = journal.len();
        return Err(Error::internal(format!("read {read} entries of {length}")));
    }
    Ok(journal)
}

fn entries(wire: Vec<v1::Entry>) -> Result<Vec<Entry>, Error> {
    wire.into_iter().map(convert::entry_in).collect()
}

async fn read_page(
    client: &Client,
    run: &str,
    after_seq: u64,
) -> Result<v1::ReadJournalResponse, Error> {
    let request = v1::ReadJournalRequest {
        tenant: client.tenant().to_string(),
        run: run.to_owned(),
        after_seq,
    };
    let read = || {
        let (mut workers, request) = (client.workers(), request.clone());
        async move { workers.read_journal(request).await }
    };
    client.retry(read).await
}

/// Specifications that this worker has seen: they never change, so each is fetched once.
#[derive(Default)]
pub(super) struct Specs(Mutex<HashMap<String, Bytes>>);

impl Specs {
    pub(super) async fn get(&self, client: &Client, digest: &str) -> Result<Bytes, Error> {
        if let Some(spec) = self.lock().get(digest) {
            return Ok(spec.clone());
        }
        let request =
            v1::GetSpecRequest { tenant: client.tenant().to_string(), digest: digest.to_owned() };
        let get = || {
            let (mut workers, request) = (client.workers(), request.clone());
            async move { workers.get_spec(request).await }
        };
        let spec = Bytes::from(client.retry(get).await?.spec);
        self.lock().insert(digest.to_owned(), spec.clone());
        Ok(spec)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
