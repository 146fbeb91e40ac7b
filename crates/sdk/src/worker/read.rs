//! What a leased run starts from: its journal and its specification.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tenure_core::{Error, limits};
use tenure_proto::{convert, v1};
use tenure_replay::Engine;
use tokio_util::task::AbortOnDropHandle;

use super::check::Check;
use crate::client::Client;

/// The engine over the journal of a leased run, or of the run that it checks, as it was when it was
/// leased; or what is wrong with the journal. The next page is on its way while one is read, and no
/// more than that is in memory beside what the engine keeps: all keys, and the first results.
pub(super) async fn read_journal(
    client: &Client,
    wire: &mut v1::LeasedRun,
) -> Result<Result<Engine, Error>, Error> {
    let check = Check::of(wire);
    let length = check.as_ref().map_or(wire.next_seq.saturating_sub(1), |check| check.entries);
    let run = check.map_or_else(|| wire.run.clone(), |check| check.run);
    let length_at_most = length.min(limits::JOURNAL_ENTRIES) as usize;
    let mut engine = Engine::with_capacity(length_at_most).keeping(limits::JOURNAL_KEPT);
    let (mut entries, mut more) = (std::mem::take(&mut wire.entries), wire.more);
    loop {
        let last = entries.last().map_or(engine.entries(), |entry| entry.seq);
        let next = (more && last < length).then(|| read_page(client.clone(), run.clone(), last));
        let next = next.map(|page| AbortOnDropHandle::new(tokio::spawn(page)));
        if let Err(damage) = fill(&mut engine, entries, length)? {
            return Ok(Err(damage));
        }
        let Some(next) = next else { break };
        let page = next.await.map_err(Error::internal)??;
        (entries, more) = (page.entries, page.more);
    }
    // Code that started on half a journal would do the other half again.
    if engine.entries() != length {
        let read = engine.entries();
        return Err(Error::internal(format!("read {read} entries of {length}")));
    }
    Ok(Ok(engine))
}

/// Gives the engine a page of a journal of this length. What was appended since is not part of it.
fn fill(
    engine: &mut Engine,
    page: Vec<v1::Entry>,
    length: u64,
) -> Result<Result<(), Error>, Error> {
    for entry in page.into_iter().take_while(|entry| entry.seq <= length) {
        let entry = convert::entry_in(entry)?;
        if let Err(damage) = engine.read([entry]) {
            return Ok(Err(damage));
        }
    }
    Ok(Ok(()))
}

/// The page of a run's journal that begins behind this entry.
pub(super) async fn read_page(
    client: Client,
    run: String,
    after_seq: u64,
) -> Result<v1::ReadJournalResponse, Error> {
    let tenant = client.tenant().to_string();
    let request = v1::ReadJournalRequest { tenant, run, after_seq };
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
