//! What a run has used of its limits, and what happens when it comes to one.

mod fork;
mod limit;
mod purse;

use serde::Deserialize;
use serde_json::json;
use tenure_sdk::{Approval, Context, Decision, Failure, Stop, Timestamp, Usage};
use tenure_spec::{AtLimit, Limits};

use limit::Limit;
pub(super) use purse::Purse;

/// The limits of a run and what was used so far. Recorded turns count like new ones, so the sums
/// are the same in every replay.
///
/// Limits are looked at before each turn and before the calls of a reply, never in the middle: an
/// answer that was paid for is given, even if it went over. A turn has to fit as if it used as much
/// as the dearest before it, so a run ends below its limit by less than one turn. That is a
/// reservation that follows from the journal alone, and not from a price list that may change between
/// two workers.
#[derive(Clone)]
pub(super) struct Budget {
    limits: Limits,
    turns: u32,
    calls: u64,
    used: Usage,
    /// The most that one report of usage came to.
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

/// A limit that the next step would go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reached {
    limit: Limit,
    used: u64,
    allowed: u64,
}

/// What a person answers who is asked for more.
#[derive(Deserialize)]
struct Raised {
    /// The new limit, in the unit of the specification; a time in seconds.
    raise_to: f64,
}

impl Budget {
    pub(super) async fn start(limits: &Limits, ctx: &Context) -> Result<Self, Stop> {
        let began = match limits.time {
            Some(_) => Some(ctx.now().await?),
            None => None,
        };
        Ok(Self {
            limits: limits.clone(),
            turns: 0,
            calls: 0,
            used: Usage::default(),
            dearest: Usage::default(),
            began,
            ending: None,
            wrapped: false,
        })
    }

    /// Adds what a model call consumed.
    pub(super) fn spend(&mut self, usage: &Usage) {
        self.used.add(usage);
        self.dearer(usage);
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
        if self.fits(place, 1, 0).await? {
            self.turns += 1;
            return Ok(());
        }
        let reached = self.ending.map(|reached| Stop::Failed(reached.failure("")));
        Err(reached.unwrap_or_else(|| Stop::failed("limit", "a limit of the run is reached")))
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

    /// Whether this much more may be done; false if the run is to wrap up.
    async fn fits(&mut self, place: &Context, questions: u64, calls: u64) -> Result<bool, Stop> {
        while let Some(reached) = self.reached(place, questions, calls).await? {
            match self.limits.then {
                AtLimit::Fail => return Err(Stop::Failed(reached.failure(""))),
                AtLimit::Ask => self.ask(place, reached).await?,
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
        if questions > 0 && self.limits.cost.is_some() && self.used.unpriced {
            return Err(Stop::Failed(unpriced()));
        }
        let counted = self.counted(questions, calls);
        let over = |&(_, used, next, allowed): &(Limit, u64, u64, Option<u64>)| {
            allowed.is_some_and(|allowed| used >= allowed || used.saturating_add(next) > allowed)
        };
        let reached = counted.into_iter().find(over).map(|(limit, used, _, allowed)| {
            let allowed = allowed.unwrap_or_default();
            Reached { limit, used, allowed }
        });
        match reached {
            Some(reached) => Ok(Some(reached)),
            None => self.out_of_time(place).await,
        }
    }

    /// What was used, what the next step is taken to use, and what is allowed. A limit that the next
    /// step uses nothing of is none for it.
    fn counted(&self, questions: u64, calls: u64) -> [(Limit, u64, u64, Option<u64>); 4] {
        let tokens = |usage: &Usage| usage.input_tokens.saturating_add(usage.output_tokens);
        let asked = |limit: Option<u64>| limit.filter(|_| questions > 0);
        let next = |dearest: u64| dearest.saturating_mul(questions);
        let (used, dearest, limits) = (&self.used, &self.dearest, &self.limits);
        // The calls of a reply belong to its turn.
        let turns = Some(u64::from(limits.turns)).filter(|_| calls == 0);
        [
            (Limit::Turns, u64::from(self.turns), 0, turns),
            (Limit::ToolCalls, self.calls, calls, limits.tool_calls.filter(|_| calls > 0)),
            (Limit::Tokens, tokens(used), next(tokens(dearest)), asked(limits.tokens)),
            (Limit::Cost, used.cost_micros, next(dearest.cost_micros), asked(limits.cost)),
        ]
    }

    async fn out_of_time(&self, place: &Context) -> Result<Option<Reached>, Stop> {
        // The first turn begins with the run.
        let (Some(limit), Some(began), 1..) = (self.limits.time, self.began, self.turns) else {
            return Ok(None);
        };
        let used = place.now().await?.since(began).as_secs();
        let allowed = limit.0.as_secs();
        Ok((used >= allowed).then_some(Reached { limit: Limit::Time, used, allowed }))
    }

    /// Asks a person for more, and takes what they allow.
    async fn ask(&mut self, place: &Context, reached: Reached) -> Result<(), Stop> {
        let Reached { limit, used, allowed } = reached;
        let (name, more) = (limit.name(), allowed.saturating_mul(2));
        let (has, of, to) = (limit.shown(used), limit.shown(allowed), limit.shown(more));
        let about = json!({
            "limit": name,
            "used": limit.number(used),
            "allowed": limit.number(allowed),
            "raise_to": limit.number(more),
        });
        let schema = json!({
            "type": "object",
            "properties": {"raise_to": {"type": "number", "exclusiveMinimum": limit.number(used)}},
            "required": ["raise_to"],
        });
        let question = place.interrupt(&format!("limit:{name}")).payload(&about).schema(&schema);
        let question =
            question.title(format!("It has used {has} of {of}. May it go on, up to {to}?"));
        let decisions = [Decision::Approve, Decision::Edit, Decision::Reject];
        match question.decisions(decisions).approval::<Raised>().await? {
            Approval::Approved(raised) => {
                limit.raise(&mut self.limits, raised.raise_to);
                Ok(())
            }
            Approval::Rejected { reason, actor } => {
                let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                Err(Stop::Failed(reached.failure(&format!("; {actor} did not raise it{why}"))))
            }
            Approval::Responded(_) => Err(Stop::Failed(reached.failure(""))),
        }
    }
}

impl Reached {
    /// Why a run ends here.
    fn failure(self, why: &str) -> Failure {
        let Self { limit, used, allowed } = self;
        let (name, used, allowed) = (limit.name(), limit.shown(used), limit.shown(allowed));
        let message = format!(
            "the run has used {used} of {allowed} without a final answer{why}; raise `limits.{name}` or ask for less"
        );
        Failure::permanent(format!("limit_{name}"), message)
    }
}

/// Nobody can keep a limit of money without prices.
fn unpriced() -> Failure {
    let message = "`limits.cost` cannot be kept: the price of a model that was asked is not known; \
                   start the worker with a table that has it (`--prices`), or take out the limit";
    Failure::permanent("price_unknown", message)
}
