//! What a run has used of its limits, and what happens when it comes to one.

mod allowance;
mod fork;
mod limit;
mod purse;
mod reached;

use tenure_sdk::{Budget as Given, Context, Failure, Stop, Timestamp, Usage};
use tenure_spec::{AtLimit, Limits};

use limit::Limit;
pub(super) use purse::Purse;
use reached::Reached;

/// The limits of a run and what was used so far. Recorded turns count like new ones, so the sums
/// are the same in every replay.
///
/// Limits are looked at before each turn and before the calls of a reply, never in the middle: an
/// answer that was paid for is given, even if it went over. A turn has to fit as if it used as much
/// as the dearest before it, so a run ends below its limit by less than one turn. That is a
/// reservation that follows from the journal alone, and not from a price list that may change between
/// two workers.
///
/// What the run was given by whoever created it bounds it as well, and nobody raises that. An agent
/// that it calls is given a share of what is left, and what that has used in the end counts here.
#[derive(Clone)]
pub(super) struct Budget {
    limits: Limits,
    /// What the run may use at most, whatever its limits say.
    given: Given,
    /// Up to where it hands down to what it calls, if others hand down at the same time.
    part: Given,
    turns: u32,
    calls: u64,
    used: Usage,
    /// The most that one reply of a model came to.
    dearest: Usage,
    /// When the run began, if it has a limit of time.
    began: Option<Timestamp>,
    /// The limit that the run wraps up for.
    ending: Option<Reached>,
    /// Whether the last turn has begun.
    wrapped: bool,
}

/// A turn that may begin.
pub(super) struct Turn {
    /// Where it is written down.
    pub(super) scope: Context,
    /// Whether it is the last one, in which no tool can be called.
    pub(super) last: bool,
}

impl Budget {
    /// The budget of a part of a run, which has limits of its own.
    pub(super) async fn start(limits: &Limits, place: &Context) -> Result<Self, Stop> {
        let began = match limits.time {
            Some(_) => Some(place.now().await?),
            None => None,
        };
        Ok(Self {
            limits: limits.clone(),
            given: Given::default(),
            part: Given::default(),
            turns: 0,
            calls: 0,
            used: Usage::default(),
            dearest: Usage::default(),
            began,
            ending: None,
            wrapped: false,
        })
    }

    /// The budget of a run: its limits, and what it was given.
    pub(super) async fn of_run(limits: &Limits, ctx: &Context) -> Result<Self, Stop> {
        Ok(Self { given: ctx.budget(), ..Self::start(limits, ctx).await? })
    }

    /// Adds what a model call consumed, or a called run in total.
    pub(super) fn spend(&mut self, usage: &Usage) {
        self.used.add(usage);
        self.calls = self.calls.saturating_add(usage.tool_calls);
        // A sum, which has no model, does not say what a single reply comes to.
        if !usage.model.is_empty() {
            self.dearer(usage);
        }
    }

    fn dearer(&mut self, usage: &Usage) {
        let dearest = &mut self.dearest;
        dearest.input_tokens = dearest.input_tokens.max(usage.input_tokens);
        dearest.output_tokens = dearest.output_tokens.max(usage.output_tokens);
        dearest.cost_micros = dearest.cost_micros.max(usage.cost_micros);
    }

    /// Counts the turn that is written down in `scope`, if there may be one, and says whether it is the
    /// last one.
    pub(super) async fn next_turn(&mut self, scope: &Context) -> Result<bool, Stop> {
        if let Some(reached) = self.ending.filter(|_| self.wrapped) {
            return Err(Stop::Failed(reached.failure("")));
        }
        let last = self.ending.is_some() || !self.fits(scope, 1, 0).await?;
        self.wrapped = last;
        self.turns += 1;
        Ok(last)
    }

    /// Counts one more question to a model, if there may be one. The time is looked at in `place`.
    pub(super) async fn admit(&mut self, place: &Context) -> Result<(), Stop> {
        if !self.fits(place, 1, 0).await? {
            return Err(self.over());
        }
        self.turns += 1;
        Ok(())
    }

    /// Counts one more call of a tool, if there may be one; `metered` says whether it asks models.
    pub(super) async fn admit_call(&mut self, place: &Context, metered: bool) -> Result<(), Stop> {
        if self.admit_calls(place, 1, usize::from(metered)).await? {
            return Ok(());
        }
        Err(self.over())
    }

    /// Counts this many calls of tools, of which some ask models; false if the run is to wrap up
    /// instead.
    pub(super) async fn admit_calls(
        &mut self,
        place: &Context,
        calls: usize,
        metered: usize,
    ) -> Result<bool, Stop> {
        let calls = calls as u64;
        let fits = self.fits(place, metered as u64, calls).await?;
        self.calls += if fits { calls } else { 0 };
        Ok(fits)
    }

    /// The end of a run that has nothing to wrap up.
    fn over(&self) -> Stop {
        let reached = self.ending.map(|reached| Stop::Failed(reached.failure("")));
        reached.unwrap_or_else(|| Stop::failed("limit", "a limit of the run is reached"))
    }

    /// Whether this much more may be done; false if the run is to wrap up.
    async fn fits(&mut self, place: &Context, questions: u64, calls: u64) -> Result<bool, Stop> {
        while let Some(reached) = self.reached(place, questions, calls).await? {
            match self.limits.then {
                AtLimit::Ask if !reached.is_final() => {
                    reached.limit.raise(&mut self.limits, reached.ask(place).await?);
                }
                AtLimit::Fail | AtLimit::Ask => return Err(Stop::Failed(reached.failure(""))),
                AtLimit::WrapUp => {
                    self.ending = Some(reached);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The first limit that this much more would go over.
    async fn reached(
        &self,
        place: &Context,
        questions: u64,
        calls: u64,
    ) -> Result<Option<Reached>, Stop> {
        if questions > 0 && self.used.unpriced && self.allowed(Limit::Cost).is_some() {
            return Err(Stop::Failed(unpriced()));
        }
        let mut next = self.next(questions, calls).into_iter().flatten();
        match next.find_map(|(limit, next)| self.goes_over(limit, next)) {
            Some(reached) => Ok(Some(reached)),
            None => self.out_of_time(place).await,
        }
    }

    /// What the next step is taken to use of each limit. One that it uses nothing of is none for it.
    fn next(&self, questions: u64, calls: u64) -> [Option<(Limit, u64)>; 4] {
        let of = |counts: bool, limit: Limit, next: u64| counts.then_some((limit, next));
        let dearest = |one: u64| one.saturating_mul(questions);
        [
            // The calls of a reply belong to its turn.
            of(calls == 0, Limit::Turns, 0),
            of(calls > 0, Limit::ToolCalls, calls),
            of(questions > 0, Limit::Tokens, dearest(tokens(&self.dearest))),
            of(questions > 0, Limit::Cost, dearest(self.dearest.cost_micros)),
        ]
    }

    fn goes_over(&self, limit: Limit, next: u64) -> Option<Reached> {
        let (used, allowed) = (self.used(limit), self.allowed(limit)?);
        let over = used >= allowed || used.saturating_add(next) > allowed;
        over.then(|| Reached { limit, used, allowed, most: limit.given(&self.given) })
    }

    fn allowed(&self, limit: Limit) -> Option<u64> {
        limit.allowed(&self.limits, &self.given)
    }

    fn used(&self, limit: Limit) -> u64 {
        match limit {
            Limit::Turns => u64::from(self.turns),
            Limit::ToolCalls => self.calls,
            Limit::Tokens => tokens(&self.used),
            Limit::Cost => self.used.cost_micros,
            // It is asked for when it matters: `out_of_time`.
            Limit::Time => 0,
        }
    }

    async fn out_of_time(&self, place: &Context) -> Result<Option<Reached>, Stop> {
        // The first turn begins with the run.
        let (Some(limit), Some(began), 1..) = (self.limits.time, self.began, self.turns) else {
            return Ok(None);
        };
        let used = place.now().await?.since(began).as_secs();
        let allowed = limit.0.as_secs();
        Ok((used >= allowed).then_some(Reached { limit: Limit::Time, used, allowed, most: None }))
    }
}

/// Nobody can keep a limit of money without prices.
fn unpriced() -> Failure {
    let message = "a limit of money (`limits.cost`, or what the run was given) cannot be kept: the \
                   price of a model that was asked is not known; start the worker with a table that \
                   has it (`--prices`), or take out the limit";
    Failure::permanent("price_unknown", message)
}

fn tokens(usage: &Usage) -> u64 {
    usage.input_tokens.saturating_add(usage.output_tokens)
}
