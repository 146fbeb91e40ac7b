//! Executes one leased run, from its journal to its outcome.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use tenure_core::{Error, ErrorKind, Failure, Payload, limits};
use tenure_proto::{convert, v1};
use tenure_replay::Engine;
use v1::outcome::Outcome;

use super::leased::{Event, Leased, Parts, Running};
use super::read::read_journal;
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
        let client = self.client_of(&wire);
        let hold = self.heartbeat.hold(&wire, client.tenant(), standing.clone());
        let run = wire.run.clone();
        let input = convert::payload_in(wire.input.take());
        let loaded = tokio::select! {
            loaded = self.load(&client, wire, received_at, standing.clone()) => loaded,
            _ = standing.until(|state| state.lost || state.abandoned) => {
                Err(Error::lease_lost("the lease was lost meanwhile"))
            }
        };
        match loaded {
            Ok((leased, Ok(()))) => self.drive(Arc::new(leased), input).await,
            Ok((leased, Err(damage))) => conclude(&leased, Err(Stop::Blocked(damage))).await,
            Err(error) => tracing::warn!(run, %error, "could not read a leased run; dropping it"),
        }
        drop(hold);
    }

    /// A client that speaks for the run's tenant.
    fn client_of(&self, wire: &v1::LeasedRun) -> Client {
        match wire.tenant.parse() {
            Ok(tenant) => self.client().for_tenant(tenant),
            Err(_) => self.client().clone(),
        }
    }

    /// Reads what the first page left out, and what is wrong with the journal if it is damaged.
    async fn load(
        &self,
        client: &Client,
        mut wire: v1::LeasedRun,
        received_at: Instant,
        standing: Standing,
    ) -> Result<(Leased, Result<(), Failure>), Error> {
        let spec = self.specs.get(client, &wire.spec_digest).await?;
        let (engine, damage) = match read_journal(client, &mut wire).await? {
            Ok(engine) => (engine, Ok(())),
            Err(error) => (Engine::default(), Err(damaged(&error))),
        };
        let observer = self.settings.observer.clone();
        let (client, commits) = (client.clone(), self.commits.clone());
        let publishing = self.publishing.clone();
        let parts =
            Parts { client, commits, publishing, standing, observer, spec, engine, received_at };
        let leased = Leased::new(&wire, parts)?;
        // Before the code starts: what arrived in time must not lose against a timeout that the code
        // only notices now.
        if leased.check.is_none() && wire.inbox > 0 {
            leased.read_inbox().await?;
        }
        Ok((leased, damage))
    }

    /// Runs the code until it ends or has to stop, and commits the outcome.
    async fn drive(&self, leased: Arc<Leased>, input: Payload) {
        let Some(code) = self.code_for(&leased) else {
            let agent = &leased.agent;
            let message = format!("no worker of the run's pool has code for agent `{agent}`");
            let why = Failure::permanent("no_code", message);
            return conclude(&leased, Err(Stop::Blocked(why))).await;
        };
        let code = code(Context::new(leased.clone()), input);
        let result = AssertUnwindSafe(supervise(&leased, code)).catch_unwind().await;
        let result = result.unwrap_or_else(|_| Err(panicked(&leased)));
        let checked = result.and_then(|output| Ok(output.checked("the output of the run")?));
        conclude(&leased, checked).await;
    }

    fn code_for(&self, leased: &Leased) -> Option<&Code> {
        self.settings.agents.get(&leased.agent).or(self.settings.interpreter.as_ref())
    }
}

fn damaged(error: &Error) -> Failure {
    Failure::permanent("damaged", format!("the journal cannot be replayed: {error}"))
}

/// Code that panics over a journal does not agree with it.
fn panicked(leased: &Leased) -> Stop {
    let message = "the code of the run panicked; see its worker's log";
    let why = Failure::permanent("panic", message);
    if leased.check.is_some() { Stop::Blocked(why) } else { Stop::Failed(why) }
}

/// Polls the code while the lease stands. Dropping the code is how it is stopped: what it recorded
/// is safe, and nothing else of it matters.
async fn supervise(leased: &Leased, mut code: Running) -> Result<Payload, Stop> {
    loop {
        match leased.next_event(&mut code).await {
            Event::Ended(result) => return result,
            Event::InboxMoved => read_inbox(leased).await?,
            Event::Quiet => park(leased).await?,
        }
    }
}

/// Parks the run. Returns if it has to go on: something has arrived meanwhile.
async fn park(leased: &Leased) -> Result<(), Stop> {
    let waits = leased.engine().waits();
    if let Some(check) = &leased.check {
        check.stop_at(waits);
        return Err(Stop::Suspended);
    }
    let suspend = v1::Suspend {
        inbox: leased.engine().received(),
        wake_after: leased.next_alarm().map(convert::duration),
        on: waits.iter().take(limits::WAIT_KEYS).map(ToString::to_string).collect(),
    };
    match leased.journal.end(Outcome::Suspend(suspend)).await {
        Ok(()) => Err(Stop::Suspended),
        Err(error) if error.kind() == ErrorKind::WrongState => read_inbox(leased).await,
        Err(error) => {
            tracing::warn!(run = %leased.run, %error, "could not park a run");
            Err(Stop::LeaseLost)
        }
    }
}

async fn read_inbox(leased: &Leased) -> Result<(), Stop> {
    leased.read_inbox().await.map_err(|error| {
        tracing::warn!(run = %leased.run, %error, "could not read the inbox of a run; dropping it");
        Stop::LeaseLost
    })
}

/// Commits what has become of the run. If it is no longer ours there is nothing to do.
async fn conclude(leased: &Leased, result: Result<Payload, Stop>) {
    let outcome = match &leased.check {
        None => outcome(leased, result),
        Some(check) => check.outcome(result),
    };
    let Some(outcome) = outcome else { return };
    let Err(error) = leased.journal.end(outcome).await else { return };
    let run = leased.run;
    if error.kind() == ErrorKind::LeaseLost {
        tracing::info!(%run, %error, "a run went on elsewhere");
    } else {
        tracing::warn!(%run, %error, "an outcome was refused");
    }
}

fn outcome(leased: &Leased, result: Result<Payload, Stop>) -> Option<Outcome> {
    Some(match result {
        Ok(output) => Outcome::Succeed(convert::payload(output)),
        Err(Stop::Failed(why)) => Outcome::Fail(fail(leased, why)),
        Err(Stop::Blocked(why)) => Outcome::Block(convert::failure(why.cleaned())),
        Err(Stop::Cancelled) => Outcome::Cancelled(v1::Cancelled {}),
        Err(Stop::Drained) => Outcome::Release(v1::Release {}),
        Err(Stop::LeaseLost | Stop::Suspended) => return None,
    })
}

/// The failure of a run. If the run is tried again, so are the steps that it failed with.
fn fail(leased: &Leased, why: Failure) -> v1::Fail {
    let why = why.cleaned();
    let again = if why.retryable { leased.engine().failed_with(&why) } else { Vec::new() };
    v1::Fail {
        // The rest fails the next attempt as well, and has its turn then.
        again: again.iter().take(limits::COMMIT_ENTRIES).map(ToString::to_string).collect(),
        failure: Some(convert::failure(why)),
        retry_after: None,
    }
}
