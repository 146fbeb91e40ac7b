//! One lane: takes what is waiting, does it in one transaction, answers everybody.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::{Concurrency, NewRun, Policy};
use tenure_core::{
    AgentId, Effect, Error, Interrupt, InterruptId, Result, Run, RunId, TenantId, Timestamp,
    Transition,
};
use tenure_store::{Locked, RunKey, SeenAgent, StoreError, Turn, Tx};
use tokio::sync::mpsc;

use super::{Command, Done, Job, Lane, Refusal};

/// Commands in one transaction: beyond this a commit is shared by so many that more add latency
/// and no throughput.
const BATCH: usize = 512;
/// The pause before a run that another transaction has locked is tried again.
const BUSY: Duration = Duration::from_millis(1);

pub(super) async fn work(lane: Lane, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        if batch.is_empty() {
            if jobs.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
        } else {
            tokio::time::sleep(BUSY).await;
        }
        // Those that were answered by the last batch, and those that wait in sockets, come along.
        tokio::task::yield_now().await;
        while batch.len() < BATCH {
            match jobs.try_recv() {
                Ok(job) => batch.push(job),
                Err(_) => break,
            }
        }
        batch = lane.settle_known(batch).await;
        if !batch.is_empty() {
            batch = settle(&lane, batch).await;
        }
    }
}

/// Does a batch and answers it; gives back the jobs whose runs were busy.
async fn settle(lane: &Lane, mut jobs: Vec<Job>) -> Vec<Job> {
    let commands: Vec<&Command> = jobs.iter().map(|job| &job.command).collect();
    let verdicts = match attempt_all(lane, &commands).await {
        Ok(verdicts) => verdicts,
        // Something that one command brought may have failed the statement for all of them.
        Err(error) if jobs.len() > 1 && !matches!(error, StoreError::Unavailable(_)) => {
            tracing::warn!(%error, "a batch of {} commands failed; doing them one by one", jobs.len());
            let mut alone = Vec::with_capacity(jobs.len());
            for command in &commands {
                alone.push(match attempt_all(lane, &[command]).await {
                    Ok(mut verdict) => verdict.remove(0),
                    Err(error) => Verdict::Done(Err(Error::from(error).into())),
                });
            }
            alone
        }
        Err(error) => {
            let refusal = Refusal::from(Error::from(error));
            jobs.iter().map(|_| Verdict::Done(Err(refusal.clone()))).collect()
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
    Done(Result<Done, Refusal>),
    Busy,
}

/// What came of one transaction.
enum Attempt {
    /// It was committed, or there was nothing to commit.
    Settled(Vec<Verdict>),
    /// Nothing was done: these creations are refused, and what was reserved for them must not stay.
    /// The others are to be done without them.
    Refused(Vec<(usize, Refusal)>),
}

/// Does all commands, in one transaction unless creations are refused.
async fn attempt_all(lane: &Lane, commands: &[&Command]) -> Result<Vec<Verdict>, StoreError> {
    let mut verdicts: Vec<Option<Verdict>> = commands.iter().map(|_| None).collect();
    loop {
        let open: Vec<usize> =
            (0..commands.len()).filter(|place| verdicts[*place].is_none()).collect();
        let left: Vec<&Command> = open.iter().map(|place| commands[*place]).collect();
        match attempt(lane, &left).await? {
            Attempt::Refused(refused) => {
                for (place, refusal) in refused {
                    verdicts[open[place]] = Some(Verdict::Done(Err(refusal)));
                }
            }
            Attempt::Settled(settled) => {
                for (place, verdict) in open.into_iter().zip(settled) {
                    verdicts[place] = Some(verdict);
                }
                return Ok(verdicts.into_iter().flatten().collect());
            }
        }
    }
}

/// One transaction for all commands. Nothing is answered before it is committed.
async fn attempt(lane: &Lane, commands: &[&Command]) -> Result<Attempt, StoreError> {
    // Before the transaction begins, which may be on the only connection that there is.
    let newest = newest_versions(lane, commands).await?;
    let mut tx = lane.store.begin().await?;
    let stale = stale_agents(&mut *tx, commands, &newest).await?;
    if !stale.is_empty() {
        return Ok(Attempt::Refused(stale));
    }
    let callers = lock_callers(&mut *tx, commands).await?;
    let taken = reserve_keys(&mut *tx, commands, &callers).await?;
    let turns = take_turns(&mut *tx, commands, &taken, &callers).await?;
    let mut page = Page::lock(&mut *tx, commands, &taken).await?;
    lane.memory.decided(page.now);
    page.callers = callers;
    page.turns = turns;
    page.known = known_sources(&mut *tx, commands).await?;
    page.interrupts = read_interrupts(&mut *tx, commands).await?;
    let mut verdicts = Vec::with_capacity(commands.len());
    for (command, taken) in commands.iter().zip(&taken) {
        verdicts.push(page.decide(command, taken.as_ref()));
    }
    let transitions = page.into_transitions();
    if transitions.is_empty() {
        return Ok(Attempt::Settled(verdicts));
    }
    let refused: Vec<_> = (0..commands.len())
        .filter_map(|place| {
            Some((place, refused(commands[place], taken[place].as_ref(), &verdicts[place])?))
        })
        .collect();
    if !refused.is_empty() {
        return Ok(Attempt::Refused(refused));
    }
    tx.save(&transitions).await?;
    tx.commit().await?;
    lane.saved(&transitions);
    Ok(Attempt::Settled(verdicts))
}

/// Why a creation is refused whose idempotency key was reserved just now.
fn refused(command: &Command, taken: Option<&RunKey>, verdict: &Verdict) -> Option<Refusal> {
    match (command, taken, verdict) {
        (Command::Create { key: Some(_), .. }, None, Verdict::Done(Err(refusal))) => {
            Some(refusal.clone())
        }
        _ => None,
    }
}

const fn seen(command: &Command) -> Option<SeenAgent> {
    match command {
        Command::Create { seen, .. } => *seen,
        Command::Change { .. } | Command::Deliver { .. } | Command::Resolve { .. } => None,
    }
}

/// The newest version of each agent whose runs are created.
async fn newest_versions(
    lane: &Lane,
    commands: &[&Command],
) -> Result<HashMap<(TenantId, AgentId), u32>, StoreError> {
    let mut newest = HashMap::new();
    for SeenAgent { tenant, agent, .. } in commands.iter().filter_map(|command| seen(command)) {
        if let Entry::Vacant(place) = newest.entry((tenant, agent)) {
            let found = lane.store.get_agent(tenant, agent).await?;
            place.insert(found.map_or(0, |found| found.latest));
        }
    }
    Ok(newest)
}

/// The creations whose agents are not as they were seen.
async fn stale_agents(
    tx: &mut dyn Tx,
    commands: &[&Command],
    newest: &HashMap<(TenantId, AgentId), u32>,
) -> Result<Vec<(usize, Refusal)>, StoreError> {
    let all: BTreeSet<SeenAgent> = commands.iter().filter_map(|command| seen(command)).collect();
    let mut stale = BTreeSet::new();
    for agent in all {
        let of = [(agent.tenant, None), (agent.tenant, Some(agent.agent))];
        let capped = agent.uncapped && !tx.lock_caps(&of).await?.is_empty();
        if capped || newest.get(&(agent.tenant, agent.agent)) != Some(&agent.latest) {
            stale.insert(agent);
        }
    }
    let is_stale = |command| seen(command).is_some_and(|seen| stale.contains(&seen));
    let places = commands.iter().enumerate().filter(|(_, command)| is_stale(command));
    Ok(places.map(|(place, _)| (place, Refusal::Stale)).collect())
}

type Callers = HashMap<(TenantId, RunId), Locked>;

/// The runs that call new ones. Locked before anything is reserved: a creation that has to be put off
/// must leave nothing behind.
async fn lock_callers(tx: &mut dyn Tx, commands: &[&Command]) -> Result<Callers, StoreError> {
    let caller = |command: &&Command| match command {
        Command::Create { new, .. } => Some((new.tenant, new.parent.as_ref()?.run)),
        Command::Change { .. } | Command::Deliver { .. } | Command::Resolve { .. } => None,
    };
    let mut wanted: Vec<_> = commands.iter().filter_map(caller).collect();
    if wanted.is_empty() {
        return Ok(Callers::new());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let (_, locked) = tx.lock_runs(&wanted).await?;
    Ok(wanted.into_iter().zip(locked).collect())
}

/// Whether somebody else is changing the run that calls a new one.
fn is_put_off(new: &NewRun, callers: &Callers) -> bool {
    let caller = new.parent.as_ref().and_then(|parent| callers.get(&(new.tenant, parent.run)));
    matches!(caller, Some(Locked::Busy))
}

/// For each command, what its idempotency key was reserved for before, if it was.
async fn reserve_keys(
    tx: &mut dyn Tx,
    commands: &[&Command],
    callers: &Callers,
) -> Result<Vec<Option<RunKey>>, StoreError> {
    let key = |command: &&Command| match command {
        Command::Create { new, .. } if is_put_off(new, callers) => None,
        Command::Create { key, .. } => key.clone(),
        Command::Change { .. } | Command::Deliver { .. } | Command::Resolve { .. } => None,
    };
    let wanted: Vec<RunKey> = commands.iter().filter_map(key).collect();
    if wanted.is_empty() {
        return Ok(vec![None; commands.len()]);
    }
    let mut reserved = tx.reserve_keys(&wanted).await?.into_iter();
    Ok(commands.iter().map(|command| key(command).and_then(|_| reserved.next()?)).collect())
}

type Source = (TenantId, RunId, String);

/// Which of the things to deliver are in their inbox already.
async fn known_sources(
    tx: &mut dyn Tx,
    commands: &[&Command],
) -> Result<HashMap<Source, bool>, StoreError> {
    let source = |command: &&Command| match command {
        Command::Deliver { tenant, run, source, .. } => Some((*tenant, *run, source.clone())),
        Command::Create { .. } | Command::Change { .. } | Command::Resolve { .. } => None,
    };
    let delivered: Vec<Source> = commands.iter().filter_map(source).collect();
    let known = tx.inbox_sources(&delivered).await?;
    Ok(delivered.into_iter().zip(known).collect())
}

/// The interrupts that are to be answered, as they are under the locks of their runs.
async fn read_interrupts(
    tx: &mut dyn Tx,
    commands: &[&Command],
) -> Result<HashMap<(TenantId, InterruptId), Interrupt>, StoreError> {
    let id = |command: &&Command| match command {
        Command::Resolve { tenant, interrupt, .. } => Some((*tenant, *interrupt)),
        Command::Create { .. } | Command::Change { .. } | Command::Deliver { .. } => None,
    };
    let ids: Vec<_> = commands.iter().filter_map(id).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = tx.read_interrupts(&ids).await?;
    Ok(ids.into_iter().zip(found).filter_map(|(id, found)| Some((id, found?))).collect())
}

/// Who has the turn of each new run's concurrency key: the run itself, if it is free.
async fn take_turns(
    tx: &mut dyn Tx,
    commands: &[&Command],
    taken: &[Option<RunKey>],
    callers: &Callers,
) -> Result<HashMap<RunId, RunId>, StoreError> {
    let turn = |(command, taken): (&&Command, &Option<RunKey>)| match command {
        // A request that was made before has its run already.
        Command::Create { new, .. } if taken.is_none() && !is_put_off(new, callers) => {
            let key = new.concurrency.as_ref()?.key.clone();
            Some(Turn { tenant: new.tenant, key, run: new.id })
        }
        _ => None,
    };
    let turns: Vec<Turn> = commands.iter().zip(taken).filter_map(turn).collect();
    if turns.is_empty() {
        return Ok(HashMap::new());
    }
    let holders = tx.take_turns(&turns).await?;
    Ok(turns.iter().map(|turn| turn.run).zip(holders).collect())
}

/// The runs of a batch: as they were locked, and what has been decided about them so far.
struct Page {
    now: Timestamp,
    runs: HashMap<(TenantId, RunId), Locked>,
    transitions: HashMap<(TenantId, RunId), Transition>,
    /// The runs that call new ones.
    callers: Callers,
    /// Who has the turn, for new runs that take turns.
    turns: HashMap<RunId, RunId>,
    known: HashMap<Source, bool>,
    interrupts: HashMap<(TenantId, InterruptId), Interrupt>,
}

impl Page {
    async fn lock(
        tx: &mut dyn Tx,
        commands: &[&Command],
        taken: &[Option<RunKey>],
    ) -> Result<Self, StoreError> {
        let existing = |(command, taken): (&&Command, &Option<RunKey>)| match (command, taken) {
            (Command::Create { .. }, taken) => taken.as_ref().map(|key| (key.tenant, key.run)),
            (
                Command::Change { tenant, run, .. }
                | Command::Deliver { tenant, run, .. }
                | Command::Resolve { tenant, run, .. },
                _,
            ) => Some((*tenant, *run)),
        };
        let mut wanted: Vec<(TenantId, RunId)> =
            commands.iter().zip(taken).filter_map(existing).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (now, locked) = tx.lock_runs(&wanted).await?;
        let runs = wanted.into_iter().zip(locked).collect();
        Ok(Self {
            now,
            runs,
            transitions: HashMap::new(),
            callers: Callers::new(),
            turns: HashMap::new(),
            known: HashMap::new(),
            interrupts: HashMap::new(),
        })
    }

    /// Decides one command on the run as the commands before it left it.
    fn decide(&mut self, command: &Command, taken: Option<&RunKey>) -> Verdict {
        match command {
            Command::Create { new, key, .. } => self.create(new, key.as_ref(), taken),
            Command::Change { tenant, run, decide } => self.change(*tenant, *run, decide),
            Command::Deliver { tenant, run, source, decide } => {
                let source = (*tenant, *run, source.clone());
                if self.known.get(&source).copied().unwrap_or(false) || self.has_received(&source) {
                    return self.change(*tenant, *run, &|_, _| Ok(None));
                }
                self.change(*tenant, *run, decide)
            }
            Command::Resolve { tenant, run, interrupt, decide } => {
                let id = (*tenant, *interrupt);
                let Some(found) = self.interrupts.get(&id).cloned() else {
                    let message = format!("there is no interrupt {interrupt}");
                    return Verdict::Done(Err(Error::not_found(message).into()));
                };
                let decided = self.change(*tenant, *run, &|run, now| decide(run, &found, now));
                self.resolved(id, *run);
                decided
            }
        }
    }

    /// Lets the commands behind see what became of an interrupt.
    fn resolved(&mut self, id: (TenantId, InterruptId), run: RunId) {
        let effects = self.transitions.get(&(id.0, run)).map(|done| &done.effects);
        let state = effects.into_iter().flatten().find_map(|effect| match effect {
            Effect::EndInterrupt { id: ended, state } if *ended == id.1 => Some(state.clone()),
            _ => None,
        });
        if let (Some(state), Some(interrupt)) = (state, self.interrupts.get_mut(&id)) {
            interrupt.state = state;
        }
    }

    fn create(&mut self, new: &NewRun, key: Option<&RunKey>, taken: Option<&RunKey>) -> Verdict {
        match (key, taken) {
            (Some(key), Some(first)) if first.digest != key.digest => {
                Verdict::Done(Err(Refusal::from(Error::already_exists(format!(
                    "idempotency key `{}` was used for another request, which created {}",
                    key.key, first.run
                )))))
            }
            (_, Some(first)) => self.change(first.tenant, first.run, &|_, _| Ok(None)),
            (_, None) if is_put_off(new, &self.callers) => Verdict::Busy,
            (_, None) => match self.create_new(new) {
                Ok(transition) => {
                    let run = Arc::new(transition.run.clone());
                    self.transitions.insert((new.tenant, new.id), transition);
                    Verdict::Done(Ok(Done { run, changed: true }))
                }
                Err(error) => Verdict::Done(Err(error.into())),
            },
        }
    }

    /// A run that has ended calls nobody: seen under its lock, so that no call slips in behind the
    /// message that ends its children.
    fn check_caller(&self, new: &NewRun) -> Result<()> {
        let Some(parent) = &new.parent else { return Ok(()) };
        let place = (new.tenant, parent.run);
        let state = match (self.transitions.get(&place), self.callers.get(&place)) {
            (Some(transition), _) => &transition.run.state,
            (None, Some(Locked::Run(run))) => &run.state,
            (None, Some(Locked::Busy | Locked::Missing) | None) => {
                return Err(Error::not_found(format!("there is no run {}", parent.run)));
            }
        };
        if state.is_terminal() && !parent.detached {
            return Err(Error::wrong_state(format!("{} has ended and calls nobody", parent.run)));
        }
        Ok(())
    }

    fn create_new(&self, new: &NewRun) -> Result<Transition> {
        self.check_caller(new)?;
        let holder = self.turns.get(&new.id).filter(|holder| **holder != new.id);
        match (holder, &new.concurrency) {
            (Some(holder), Some(Concurrency { key, policy: Policy::Reject })) => {
                Err(Error::wrong_state(format!(
                    "{holder} has the turn of concurrency key `{key}`, and the run is not to wait"
                )))
            }
            (holder, _) => Run::create(new.clone(), holder.is_none(), self.now),
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
                let error = Error::not_found(format!("there is no run {run}"));
                return Verdict::Done(Err(error.into()));
            }
        };
        match decide(&before, self.now) {
            Err(error) => Verdict::Done(Err(error.into())),
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
        effects
            .into_iter()
            .flatten()
            .any(|effect| matches!(effect, Effect::Receive(item) if item.source == *source))
    }

    fn into_transitions(self) -> Vec<Transition> {
        self.transitions.into_values().collect()
    }
}
