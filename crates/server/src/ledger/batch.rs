//! One lane: takes what is waiting, does it in one transaction, answers everybody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::NewRun;
use tenure_core::{Error, Result, Run, RunId, TenantId, Timestamp, Transition};
use tenure_store::{Locked, RunKey, Store, StoreError, Tx};
use tokio::sync::mpsc;

use super::{Command, Done, Job};
use crate::service::effects;
use crate::wake::Wake;

/// Commands in one transaction: beyond this a commit is shared by so many that more add latency
/// and no throughput.
const BATCH: usize = 256;
/// The pause before a run that another transaction has locked is tried again.
const BUSY: Duration = Duration::from_millis(1);

pub(super) async fn work(store: Arc<dyn Store>, wake: Arc<Wake>, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        if batch.is_empty() {
            if jobs.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
        } else {
            tokio::time::sleep(BUSY).await;
            while batch.len() < BATCH {
                match jobs.try_recv() {
                    Ok(job) => batch.push(job),
                    Err(_) => break,
                }
            }
        }
        batch = settle(&*store, &wake, batch).await;
    }
}

/// Does a batch and answers it; gives back the jobs whose runs were busy.
async fn settle(store: &dyn Store, wake: &Wake, mut jobs: Vec<Job>) -> Vec<Job> {
    let commands: Vec<&Command> = jobs.iter().map(|job| &job.command).collect();
    let verdicts = match attempt(store, wake, &commands).await {
        Ok(verdicts) => verdicts,
        // Something that one command brought may have failed the statement for all of them.
        Err(error) if jobs.len() > 1 && !matches!(error, StoreError::Unavailable(_)) => {
            tracing::warn!(%error, "a batch of {} commands failed; doing them one by one", jobs.len());
            let mut alone = Vec::with_capacity(jobs.len());
            for command in &commands {
                alone.push(match attempt(store, wake, &[command]).await {
                    Ok(mut verdict) => verdict.remove(0),
                    Err(error) => Verdict::Done(Err(error.into())),
                });
            }
            alone
        }
        Err(error) => {
            let error = Error::from(error);
            jobs.iter().map(|_| Verdict::Done(Err(error.clone()))).collect()
        }
    };
    let mut busy = Vec::new();
    for (job, verdict) in jobs.drain(..).zip(verdicts) {
        match verdict {
            // Who asked may have gone; what was done stays done.
            Verdict::Done(done) => drop(job.reply.send(done)),
            Verdict::Busy => busy.push(job),
        }
    }
    busy
}

/// What became of one command of a batch.
enum Verdict {
    Done(Result<Done>),
    Busy,
}

/// One transaction for all commands. Nothing is answered before it is committed.
async fn attempt(
    store: &dyn Store,
    wake: &Wake,
    commands: &[&Command],
) -> Result<Vec<Verdict>, StoreError> {
    let mut tx = store.begin().await?;
    let taken = reserve_keys(&mut *tx, commands).await?;
    let delivered = inbox_wanted(commands);
    let mut page = Page::lock(&mut *tx, commands, &taken).await?;
    let known = tx.inbox_sources(&delivered).await?;
    let known: HashMap<_, _> = delivered.into_iter().zip(known).collect();
    let mut verdicts = Vec::with_capacity(commands.len());
    for (command, taken) in commands.iter().zip(&taken) {
        verdicts.push(page.decide(command, taken.as_ref(), &known));
    }
    let transitions = page.into_transitions();
    if transitions.is_empty() {
        return Ok(verdicts);
    }
    tx.save(&transitions).await?;
    tx.commit().await?;
    wake.tell(effects::hints(&transitions));
    Ok(verdicts)
}

/// For each command, what its idempotency key was reserved for before, if it was.
async fn reserve_keys(
    tx: &mut dyn Tx,
    commands: &[&Command],
) -> Result<Vec<Option<RunKey>>, StoreError> {
    let key = |command: &&Command| match command {
        Command::Create { key, .. } => key.clone(),
        Command::Change { .. } | Command::Deliver { .. } => None,
    };
    let wanted: Vec<RunKey> = commands.iter().filter_map(key).collect();
    if wanted.is_empty() {
        return Ok(vec![None; commands.len()]);
    }
    let mut reserved = tx.reserve_keys(&wanted).await?.into_iter();
    Ok(commands.iter().map(|command| key(command).and_then(|_| reserved.next()?)).collect())
}

type Source = (TenantId, RunId, String);

fn inbox_wanted(commands: &[&Command]) -> Vec<Source> {
    let source = |command: &&Command| match command {
        Command::Deliver { tenant, run, source, .. } => Some((*tenant, *run, source.clone())),
        Command::Create { .. } | Command::Change { .. } => None,
    };
    commands.iter().filter_map(source).collect()
}

/// The runs of a batch: as they were locked, and what has been decided about them so far.
struct Page {
    now: Timestamp,
    runs: HashMap<(TenantId, RunId), Locked>,
    transitions: HashMap<(TenantId, RunId), Transition>,
}

impl Page {
    async fn lock(
        tx: &mut dyn Tx,
        commands: &[&Command],
        taken: &[Option<RunKey>],
    ) -> Result<Self, StoreError> {
        let existing = |(command, taken): (&&Command, &Option<RunKey>)| match (command, taken) {
            (Command::Create { .. }, taken) => taken.as_ref().map(|key| (key.tenant, key.run)),
            (Command::Change { tenant, run, .. } | Command::Deliver { tenant, run, .. }, _) => {
                Some((*tenant, *run))
            }
        };
        let mut wanted: Vec<(TenantId, RunId)> =
            commands.iter().zip(taken).filter_map(existing).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (now, locked) = tx.lock_runs(&wanted).await?;
        let runs = wanted.into_iter().zip(locked).collect();
        Ok(Self { now, runs, transitions: HashMap::new() })
    }

    /// Decides one command on the run as the commands before it left it.
    fn decide(
        &mut self,
        command: &Command,
        taken: Option<&RunKey>,
        known: &HashMap<Source, bool>,
    ) -> Verdict {
        match command {
            Command::Create { new, key } => self.create(new, key.as_ref(), taken),
            Command::Change { tenant, run, decide } => self.change(*tenant, *run, decide),
            Command::Deliver { tenant, run, source, decide } => {
                let source = (*tenant, *run, source.clone());
                if known.get(&source).copied().unwrap_or(false) || self.has_received(&source) {
                    return self.change(*tenant, *run, &|_, _| Ok(None));
                }
                self.change(*tenant, *run, decide)
            }
        }
    }

    fn create(&mut self, new: &NewRun, key: Option<&RunKey>, taken: Option<&RunKey>) -> Verdict {
        match (key, taken) {
            (Some(key), Some(first)) if first.digest != key.digest => {
                Verdict::Done(Err(Error::already_exists(format!(
                    "idempotency key `{}` was used for another request, which created {}",
                    key.key, first.run
                ))))
            }
            (_, Some(first)) => self.change(first.tenant, first.run, &|_, _| Ok(None)),
            (_, None) => match Run::create(new.clone(), self.now) {
                Ok(transition) => {
                    let run = Arc::new(transition.run.clone());
                    self.transitions.insert((new.tenant, new.id), transition);
                    Verdict::Done(Ok(Done { run, changed: true }))
                }
                Err(error) => Verdict::Done(Err(error)),
            },
        }
    }

    fn change(
        &mut self,
        tenant: TenantId,
        run: RunId,
        decide: &dyn Fn(&Run, Timestamp) -> Result<Option<Transition>>,
    ) -> Verdict {
        let place = (tenant, run);
        let before = match (self.transitions.get(&place), self.runs.get(&place)) {
            (Some(transition), _) => Arc::new(transition.run.clone()),
            (None, Some(Locked::Run(run))) => run.clone(),
            (None, Some(Locked::Busy)) => return Verdict::Busy,
            (None, Some(Locked::Missing) | None) => {
                return Verdict::Done(Err(Error::not_found(format!("there is no run {run}"))));
            }
        };
        match decide(&before, self.now) {
            Err(error) => Verdict::Done(Err(error)),
            Ok(None) => Verdict::Done(Ok(Done { run: before, changed: false })),
            Ok(Some(next)) => {
                let after = Arc::new(next.run.clone());
                let whole = match self.transitions.remove(&place) {
                    Some(first) => first.then(next),
                    None => next,
                };
                self.transitions.insert(place, whole);
                Verdict::Done(Ok(Done { run: after, changed: true }))
            }
        }
    }

    /// Whether an earlier command of this batch has delivered from this source.
    fn has_received(&self, (tenant, run, source): &Source) -> bool {
        let effects = self.transitions.get(&(*tenant, *run)).map(|done| &done.effects);
        effects.into_iter().flatten().any(
            |effect| matches!(effect, tenure_core::Effect::Receive(item) if item.source == *source),
        )
    }

    fn into_transitions(self) -> Vec<Transition> {
        self.transitions.into_values().collect()
    }
}
