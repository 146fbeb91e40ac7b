//! Executes one leased run, from its journal to its outcome.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt as _;
use tenure_core::{Entry, Error, ErrorKind, Failure, Payload};
use tenure_proto::{convert, v1};
use v1::outcome::Outcome;

use super::leased::Leased;
use super::standing::Standing;
use super::{Code, Shared};
use crate::client::Client;
use crate::context::Context;
use crate::stop::Stop;

impl Shared {
    /// Executes a run that was just leased. Whatever happens, the lease is ended or left to expire.
    pub(super) async fn execute(&self, mut wire: v1::LeasedRun) {
        let received_at = Instant::now();
        let standing = Standing::default();
        standing.change(|state| state.inbox = wire.inbox);
        let hold = self.heartbeat.hold(&wire, standing.clone());
        let run = wire.run.clone();
        let input = convert::payload_in(wire.input.take());
        let loaded = tokio::select! {
            loaded = self.load(wire, received_at, standing.clone()) => loaded,
            _ = standing.until(|state| state.lost || state.abandoned) => {
                Err(Error::lease_lost("the lease was lost meanwhile"))
            }
        };
        match loaded {
            Ok(leased) => self.drive(Arc::new(leased), input).await,
            Err(error) => tracing::warn!(run, %error, "could not read a leased run; dropping it"),
        }
        drop(hold);
    }

    /// Reads what the first page left out.
    async fn load(
        &self,
        mut wire: v1::LeasedRun,
        received_at: Instant,
        standing: Standing,
    ) -> Result<Leased, Error> {
        let client = self.client().clone();
        let spec = self.specs.get(&client, &wire.spec_digest).await?;
        let mut history = entries(std::mem::take(&mut wire.entries))?;
        let mut more = wire.more;
        while more {
            let after_seq = history.last().map_or(0, |entry: &Entry| entry.seq);
            let page = read_page(&client, &wire.run, after_seq).await?;
            more = page.more;
            history.extend(entries(page.entries)?);
        }
        // Code that started on half a journal would do the other half again.
        if history.len() as u64 + 1 != wire.next_seq {
            let (read, next) = (history.len(), wire.next_seq);
            return Err(Error::internal(format!("read {read} entries, and the next is {next}")));
        }
        let observer = self.settings.observer.clone();
        Leased::new(&wire, received_at, history, spec, client, standing, observer)
    }

    /// Runs the code until it ends or has to stop, and commits the outcome.
    async fn drive(&self, leased: Arc<Leased>, input: Payload) {
        let Some(code) = self.code_for(&leased) else {
            let agent = &leased.agent;
            let message = format!("no worker of the run's pool has code for agent `{agent}`");
            return end(&leased, Outcome::Block(failure(Failure::permanent("no_code", message))))
                .await;
        };
        let code = code(Context::new(leased.clone()), input);
        let result = match AssertUnwindSafe(supervise(&leased, code)).catch_unwind().await {
            Ok(result) => result,
            Err(_) => {
                Err(Stop::failed("panic", "the code of the run panicked; see its worker's log"))
            }
        };
        let checked = result.and_then(|output| Ok(output.checked("the output of the run")?));
        match checked {
            Ok(output) => end(&leased, Outcome::Succeed(convert::payload(output))).await,
            Err(Stop::Failed(why)) => {
                let fail = v1::Fail { failure: Some(failure(why)), retry_after: None };
                end(&leased, Outcome::Fail(fail)).await;
            }
            Err(Stop::Blocked(why)) => end(&leased, Outcome::Block(failure(why))).await,
            Err(Stop::Cancelled) => end(&leased, Outcome::Cancelled(v1::Cancelled {})).await,
            Err(Stop::Drained) => end(&leased, Outcome::Release(v1::Release {})).await,
            Err(Stop::LeaseLost | Stop::Suspended) => {}
        }
    }

    fn code_for(&self, leased: &Leased) -> Option<&Code> {
        self.settings.agents.get(&leased.agent).or(self.settings.interpreter.as_ref())
    }
}

/// Polls the code while the lease stands. Dropping the code is how it is stopped: what it recorded
/// is safe, and nothing else of it matters.
async fn supervise(
    leased: &Leased,
    mut code: futures::future::BoxFuture<'static, Result<Payload, Stop>>,
) -> Result<Payload, Stop> {
    loop {
        tokio::select! {
            biased;
            state = leased.standing.until(|state| state.lost || state.cancelled) => {
                return Err(if state.lost { Stop::LeaseLost } else { Stop::Cancelled });
            }
            result = &mut code => return result,
            () = leased.inbox_moved() => read_inbox(leased).await?,
            () = leased.drained() => return Err(Stop::Drained),
            () = leased.parked() => {
                let inbox = leased.engine().received();
                let wake_after = leased.next_alarm().map(convert::duration);
                let suspend = Outcome::Suspend(v1::Suspend { inbox, wake_after });
                match leased.journal.end(suspend).await {
                    Ok(()) => return Err(Stop::Suspended),
                    Err(error) if error.kind() == ErrorKind::WrongState => read_inbox(leased).await?,
                    Err(error) => {
                        tracing::warn!(run = %leased.run, %error, "could not park a run");
                        return Err(Stop::LeaseLost);
                    }
                }
            }
        }
    }
}

async fn read_inbox(leased: &Leased) -> Result<(), Stop> {
    leased.read_inbox().await.map_err(|error| {
        tracing::warn!(run = %leased.run, %error, "could not read the inbox of a run; dropping it");
        Stop::LeaseLost
    })
}

/// Commits the outcome. If the run is no longer ours there is nothing to do.
async fn end(leased: &Leased, outcome: Outcome) {
    let Err(error) = leased.journal.end(outcome).await else {
        return;
    };
    let run = leased.run;
    if error.kind() == ErrorKind::LeaseLost {
        tracing::info!(%run, %error, "a run went on elsewhere");
    } else {
        tracing::warn!(%run, %error, "an outcome was refused");
    }
}

fn failure(failure: Failure) -> v1::Failure {
    convert::failure(failure.cleaned())
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
    async fn get(&self, client: &Client, digest: &str) -> Result<Bytes, Error> {
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
