//! Watch: a run and its journal as they change.

use std::sync::Arc;

use futures::Stream;
use tenure_core::{Entry, Error, Name, Result, Run, RunId, StreamEvent, TenantId, limits};
use tenure_store::{FullRun, Hint};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Service;
use crate::streams::{Follower, Said};
use crate::wake::Subscription;

/// What a watcher wants to see.
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchRun {
    /// Entries after this one; 0 for all.
    pub after: u64,
    /// Also what steps say while they are executed. What was said before is gone, and the last of it
    /// may come behind the entry of its step, or not at all.
    pub stream: bool,
}

/// What a watcher sees.
#[derive(Clone, Debug)]
pub enum RunEvent {
    /// The run as it is now.
    Run(Box<FullRun>),
    /// The next entry of its journal.
    Entry(Box<Entry>),
    /// What a step says.
    Published(Box<StreamEvent>),
    /// So many of those events came too fast for the watcher and are gone.
    Missed(u64),
}

/// Events that wait for a slow watcher; then it holds up nobody but itself.
const BUFFER: usize = 64;

impl Service {
    /// The run and its entries, then every change; ends with the run, or with the watcher. At each
    /// point the entries of a state come before the state.
    pub async fn watch_run(
        self: &Arc<Self>,
        tenant: &Name,
        run: RunId,
        what: WatchRun,
    ) -> Result<impl Stream<Item = Result<RunEvent>> + Send + use<>> {
        let tenant = self.tenant_id(tenant).await?;
        self.full_run(tenant, run).await?;
        let said = what.stream.then(|| self.streams.follow((tenant, run)));
        let (sender, receiver) = mpsc::channel(BUFFER);
        let (service, seq) = (self.clone(), what.after);
        let watch = Watch { service, tenant, run, seq, seen: None, said, sender };
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
    /// What steps say, if that is wanted.
    said: Option<Follower>,
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
            if self.until_changed(&changed).await.is_err() {
                return;
            }
        }
    }

    /// Passes on what is said until there is a reason to look.
    async fn until_changed(&mut self, changed: &Subscription) -> Result<(), Gone> {
        let tick = tokio::time::sleep(self.service.tick());
        tokio::pin!(tick);
        loop {
            let said = tokio::select! {
                biased;
                () = self.sender.closed() => return Err(Gone),
                // Before the change: what was said first is seen first.
                said = next(&mut self.said) => said,
                () = changed.changed() => return Ok(()),
                () = &mut tick => return Ok(()),
            };
            self.send(match said {
                Said::Event(event) => RunEvent::Published(Box::new(event)),
                Said::Missed(events) => RunEvent::Missed(events),
            })
            .await?;
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

async fn next(said: &mut Option<Follower>) -> Said {
    match said {
        Some(follower) => follower.next().await,
        None => std::future::pending().await,
    }
}
