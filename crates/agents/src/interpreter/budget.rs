//! What a run has used of its limits.

use tenure_sdk::{Context, Failure, Stop, Timestamp, Usage};
use tenure_spec::Limits;

/// The limits of a run and what was used so far. Recorded turns count like new ones, so the sums
/// are the same in every replay.
///
/// Limits are checked before each turn. What a turn has begun is not cut off: an answer that was
/// paid for is given, even if it went over.
pub(super) struct Budget {
    limits: Limits,
    turns: u32,
    used: Usage,
    /// When the run began, if it has a limit of time.
    began: Option<Timestamp>,
}

impl Budget {
    pub(super) async fn start(limits: &Limits, ctx: &Context) -> Result<Self, Stop> {
        let began = match limits.time {
            Some(_) => Some(ctx.now().await?),
            None => None,
        };
        Ok(Self { limits: limits.clone(), turns: 0, used: Usage::default(), began })
    }

    /// Adds what a model call consumed.
    pub(super) fn spend(&mut self, usage: &Usage) {
        self.used.add(usage);
    }

    /// The scope of the next turn, if there may be one.
    pub(super) async fn next_turn(&mut self, ctx: &Context) -> Result<Context, Stop> {
        let turn = ctx.scope(&format!("turn/{}", self.turns))?;
        self.admit(&turn).await?;
        Ok(turn)
    }

    /// Counts one more question to a model, if there may be one. The time is looked at in `place`.
    pub(super) async fn admit(&mut self, place: &Context) -> Result<(), Stop> {
        self.check_turns().and_then(|()| self.check_tokens()).map_err(Stop::Failed)?;
        self.turns += 1;
        // The first turn begins with the run.
        if self.turns > 1 {
            self.check_time(place).await?;
        }
        Ok(())
    }

    fn check_turns(&self) -> Result<(), Failure> {
        let limit = self.limits.turns;
        if self.turns < limit {
            return Ok(());
        }
        Err(exceeded("turns", &format!("{limit} replies of the model")))
    }

    fn check_tokens(&self) -> Result<(), Failure> {
        let used = self.used.input_tokens.saturating_add(self.used.output_tokens);
        match self.limits.tokens {
            Some(limit) if used >= limit => {
                Err(exceeded("tokens", &format!("{used} of {limit} tokens")))
            }
            _ => Ok(()),
        }
    }

    async fn check_time(&self, turn: &Context) -> Result<(), Stop> {
        let (Some(limit), Some(began)) = (self.limits.time, self.began) else {
            return Ok(());
        };
        let passed = turn.now().await?.since(began);
        if passed < limit.0 {
            return Ok(());
        }
        let used = format!("{} s of {limit}", passed.as_secs());
        Err(Stop::Failed(exceeded("time", &used)))
    }
}

fn exceeded(limit: &str, used: &str) -> Failure {
    Failure::permanent(
        format!("limit_{limit}"),
        format!(
            "the run used {used} without a final answer; raise `limits.{limit}` or ask for less"
        ),
    )
}
