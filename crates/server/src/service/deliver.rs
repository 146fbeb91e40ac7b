//! Deliver: what runs cause in other runs. Every replica does it for ever; done twice it is as done
//! once, so a replica that dies in between leaves nothing behind.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tenure_core::run::{Parent, RetryPolicy, Topic};
use tenure_core::steering::RESERVED;
use tenure_core::{
    Call, Digest, ErrorKind, Failure, Key, Message, Payload, Result, Run, RunId, StateName,
    Steering, TenantId, Usage, limits,
};
use tenure_store::{Posted, RunFilter};

use super::Service;
use super::create_run::{CreateRun, Origin};
use crate::ledger::Command;

/// Messages that are under way at a time.
const PAGE: usize = 256;

impl Service {
    /// Delivers what is due; how many messages that was.
    pub async fn deliver(&self) -> Result<usize> {
        let mut delivered = 0;
        loop {
            let taken = self.take_messages().await?;
            let all = taken.len();
            let each = taken.into_iter().map(|posted| async move {
                let (place, run) = ((posted.tenant, posted.run, posted.number), posted.run);
                match self.deliver_one(posted).await {
                    Ok(()) => Some(place),
                    Err(error) => {
                        tracing::warn!(%run, %error, "a message is delivered later");
                        None
                    }
                }
            });
            let done: Vec<_> = join_all(each).await.into_iter().flatten().collect();
            if !done.is_empty() {
                let mut tx = self.store.begin().await?;
                tx.drop_messages(&done).await?;
                tx.commit().await?;
            }
            delivered += done.len();
            if all < PAGE {
                return Ok(delivered);
            }
        }
    }

    async fn take_messages(&self) -> Result<Vec<Posted>> {
        let mut tx = self.store.begin().await?;
        let taken = tx.take_messages(PAGE, limits::MESSAGE_RETRY).await?;
        tx.commit().await?;
        Ok(taken)
    }

    async fn deliver_one(&self, posted: Posted) -> Result<()> {
        let Posted { tenant, run, message, .. } = posted;
        settled(match message {
            Message::Call { key, call } => self.call(tenant, run, key, *call).await,
            Message::Ended { parent, key, result, usage } => {
                self.end_wait(tenant, parent, key, result, Some(usage)).await
            }
            Message::EndChildren { steering } => self.end_children(tenant, run, &steering).await,
            Message::FreeTurn { key } => self.free_turn(tenant, run, &key).await,
            Message::TakeTurn { key } => self.take_turn(tenant, run, &key).await,
        })
    }

    /// Creates the run that another calls, once; that it cannot be is the call's result.
    async fn call(&self, tenant: TenantId, parent: RunId, key: Key, call: Call) -> Result<()> {
        let caller = self.full_run(tenant, parent).await?.run;
        let name = format!("{RESERVED}call:{parent}/{key}");
        let link = Parent { run: parent, key: key.clone(), detached: call.detached };
        let request = CreateRun {
            // The tenant is known by its id here.
            tenant: call.agent.clone(),
            agent: call.agent,
            version: call.version,
            input: call.input,
            labels: BTreeMap::new(),
            start_after: Duration::ZERO,
            idempotency: Some((name.clone(), Digest::of(name))),
            max_attempts: None,
            retry: RetryPolicy::default(),
            priority: caller.priority,
            timeout: None,
            concurrency: None,
            // A caller can only narrow what it was given itself.
            budget: call.budget.tighter(caller.budget),
        };
        let origin = Origin { parent: Some((link, caller.depth + 1)), check: None };
        match self.create(tenant, request, origin).await {
            Ok(_) => Ok(()),
            Err(error) if error.retryable() => Err(error),
            // If it is that the caller has ended, nobody is told.
            Err(error) => {
                let why = Failure::permanent(error.kind().as_str(), error.message());
                self.end_wait(tenant, parent, key, Err(why), None).await
            }
        }
    }

    /// Puts the end of a wait into the inbox of the run that waits, unless it has ended.
    async fn end_wait(
        &self,
        tenant: TenantId,
        run: RunId,
        key: Key,
        result: Result<Payload, Failure>,
        usage: Option<Usage>,
    ) -> Result<()> {
        let source = format!("call:{key}");
        let decide = {
            let source = source.clone();
            Box::new(move |run: &Run, now| {
                let topic = Topic::Wait(key.clone());
                run.deliver(source.clone(), topic, result.clone(), usage.clone(), now).map(Some)
            })
        };
        self.ledger.apply(Command::Deliver { tenant, run, source, decide }).await.map(|_| ())
    }

    /// Cancels the runs that a run has called, those that are detached excepted.
    async fn end_children(&self, tenant: TenantId, run: RunId, by: &Steering) -> Result<()> {
        let filter = RunFilter { parent: Some(run), ..alive() };
        self.cancel_all(tenant, &filter, by, |child| {
            child.parent.as_ref().is_some_and(|parent| !parent.detached)
        })
        .await
    }

    /// Cancels the runs that a new one replaces.
    async fn take_turn(&self, tenant: TenantId, run: RunId, key: &str) -> Result<()> {
        let created_at = self.full_run(tenant, run).await?.run.created_at;
        let filter = RunFilter { concurrency: Some(key.to_owned()), ..alive() };
        let by = Steering::system(format!("replaced by {run}"));
        let replaced =
            |other: &Run| (other.created_at, other.id) < (created_at, run) && other.id != run;
        self.cancel_all(tenant, &filter, &by, replaced).await
    }

    async fn cancel_all(
        &self,
        tenant: TenantId,
        filter: &RunFilter,
        by: &Steering,
        concerned: impl Fn(&Run) -> bool,
    ) -> Result<()> {
        let mut before = None;
        loop {
            let page = self.store.list_runs(tenant, filter, before, limits::PAGE).await?;
            before = page.last().map(|last| last.run.id);
            let concerned = page.iter().filter(|full| concerned(&full.run));
            let each = concerned.map(|full| self.cancel(tenant, full.run.id, by.clone()));
            for cancelled in join_all(each).await {
                settled(cancelled)?;
            }
            if page.len() < limits::PAGE {
                return Ok(());
            }
        }
    }

    async fn cancel(&self, tenant: TenantId, run: RunId, by: Steering) -> Result<()> {
        let grace = self.settings.cancel_grace;
        let decide = Box::new(move |run: &Run, now| run.cancel(by.clone(), now, grace));
        self.ledger.apply(Command::Change { tenant, run, decide }).await.map(|_| ())
    }
}

/// What has come too late has nothing left to do, and what cannot be done is not tried for ever.
fn settled(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if matches!(error.kind(), ErrorKind::WrongState | ErrorKind::NotFound) => Ok(()),
        Err(error) if !error.retryable() => {
            tracing::error!(%error, "a message cannot be delivered; it is dropped");
            Ok(())
        }
        done => done,
    }
}

fn alive() -> RunFilter {
    let states = StateName::ALL.into_iter().filter(|state| !state.is_terminal()).collect();
    RunFilter { states, ..RunFilter::default() }
}
