//! Watch: a run and its journal as they change.

use std::sync::Arc;

use futures::Stream;
use tenure_core::{Entry, Error, Name, Result, Run, RunId, TenantId, limits};
use tenure_store::{FullRun, Hint};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Service;

/// What a watcher sees.
#[derive(Clone, Debug)]
pub enum RunEvent {
    /// The run as it is now.
    Run(Box<FullRun>),
    /// The next entry of its journal.
    Entry(Box<Entry>),
}

/// Events that wait for a slow watcher; then it holds up nobody but itself.
const BUFFER: usize = 64;

impl Service {
    /// The run and its entries after `after`, then every change; ends with the run, or with the
    /// watcher. At each point the entries of a state come before the state.
    pub async fn watch_run(
        self: &Arc<Self>,
        tenant: &Name,
        run: RunId,
        after: u64,
    ) -> Result<impl Stream<Item = Result<RunEvent>> + Send + use<>> {
        let tenant = self.tenant_id(tenant).await?;
        self.full_run(tenant, run).await?;
        let (sender, receiver) = mpsc::channel(BUFFER);
        let watch = Watch { service: self.clone(), tenant, run, seq: after, seen: None, sender };
        tokio::spawn(watch.run());
        Ok(ReceiverStream::new(receiver))
    }
}

struct Watch {
    service: Arc<Service>,
    tenant: TenantId,
    run: RunId,
    /// The last entry that was sent.
    seq: u64,
    /// What was visible of the run when it was last sent.
    seen: Option<Visible>,
    sender: mpsc::Sender<Result<RunEvent>>,
}

/// What makes a run another one to look at; a heartbeat does not.
#[derive(PartialEq, Eq)]
struct Visible {
    state: tenure_core::StateName,
    epoch: u64,
    next_seq: u64,
    asked: Option<tenure_core::run::Request>,
    priority: i32,
    interrupts: u32,
}

/// The watcher has gone.
struct Gone;

impl Watch {
    async fn run(mut self) {
        let changed = self.service.wake.subscribe([Hint::Run(self.tenant, self.run)]);
        let mut said = None;
        loop {
            self.service.wake.watch(self.tenant, self.run, &mut said);
            match self.look().await {
                Ok(Ok(true)) | Err(Gone) => return,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    let _ = self.sender.send(Err(error)).await;
                    return;
                }
            }
            tokio::select! {
                () = changed.changed() => {}
                () = tokio::time::sleep(self.service.tick()) => {}
                () = self.sender.closed() => return,
            }
        }
    }

    /// Sends what is new; whether the run has ended.
    async fn look(&mut self) -> Result<Result<bool>, Gone> {
        let full = match self.service.full_run(self.tenant, self.run).await {
            Ok(full) => full,
            Err(error) => return Ok(Err(error)),
        };
        let visible = Visible {
            state: full.run.state.name(),
            epoch: full.run.epoch,
            next_seq: full.run.next_seq,
            asked: full.run.request.clone(),
            priority: full.run.priority,
            interrupts: full.run.interrupts,
        };
        if let Err(error) = self.send_entries(&full.run).await? {
            return Ok(Err(error));
        }
        let ended = full.run.state.is_terminal();
        if self.seen.as_ref() != Some(&visible) {
            self.send(RunEvent::Run(Box::new(full))).await?;
            self.seen = Some(visible);
        }
        Ok(Ok(ended))
    }

    async fn send_entries(&mut self, run: &Run) -> Result<Result<(), Error>, Gone> {
        while self.seq + 1 < run.next_seq {
            let after = self.seq;
            let page = self.service.journal_page(run, after, limits::JOURNAL_PAGE);
            let page = match page.await {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            if page.entries.is_empty() {
                return Ok(Err(Error::internal(format!(
                    "the journal of {} ends at {after}",
                    run.id
                ))));
            }
            for entry in page.entries {
                self.seq = entry.seq;
                self.send(RunEvent::Entry(Box::new(entry))).await?;
            }
        }
        Ok(Ok(()))
    }

    async fn send(&self, event: RunEvent) -> Result<(), Gone> {
        self.sender.send(Ok(event)).await.map_err(|_| Gone)
    }
}
