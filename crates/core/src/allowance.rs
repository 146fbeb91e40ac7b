//! Allowances: budgets that many runs draw on together, all of a tenant's or those of one agent, anew
//! each day or month.
//!
//! What has been used is summed by day from the entries of all journals, so a replay counts nothing
//! twice. Before a call of a model its run *reserves* what the call may come to; the [`Hold`] counts
//! until the result is recorded, or until it is too old to be waited for. So runs that work at the
//! same time cannot overdraw an allowance together by more than one of their estimates was wrong.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::id::{AgentId, RunId, TenantId};
use crate::journal::Usage;
use crate::key::Key;
use crate::time::Timestamp;

/// A budget that many runs draw on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Whose runs.
    pub tenant: TenantId,
    /// Only runs of this agent.
    pub agent: Option<AgentId>,
    /// When it begins anew.
    pub period: Period,
    /// What the runs may use at most in a period, together.
    pub budget: Budget,
}

/// How long a budget is for, by the calendar in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first to the last of a month.
    Month,
}

/// Days since 1970-01-01 in UTC: what was used is kept by day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

/// What a run has reserved for a call of a model that has no result yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Whose.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// Its agent.
    pub agent: AgentId,
    /// The step that calls the model.
    pub key: Key,
    /// What it may come to.
    pub estimate: Estimate,
    /// When it does not count any more.
    pub until: Timestamp,
}

/// What a call of a model may come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Money, in millionths of a dollar; `None` if the model's price is not known.
    pub cost_micros: Option<u64>,
    /// Tokens, in and out together.
    pub tokens: u64,
}

/// An allowance with what was taken from it in this period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The allowance.
    pub allowance: Allowance,
    /// What is on record.
    pub spent: Usage,
    /// What is reserved.
    pub held: Estimate,
}

/// Why nothing more may be taken from an allowance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The allowance.
    pub allowance: Allowance,
    /// Which of its bounds.
    pub bound: Bound,
    /// What was used, in the bound's unit.
    pub used: u64,
    /// What is reserved.
    pub held: u64,
    /// What the next call may come to.
    pub next: u64,
    /// What is allowed.
    pub allowed: u64,
    /// When the allowance begins anew.
    pub renews_at: Timestamp,
}

/// What there may be too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Millionths of a dollar.
    Cost,
    /// Millionths of a dollar, and nobody knows how many the next call takes.
    UnknownCost,
    /// Tokens.
    Tokens,
    /// Calls of tools.
    ToolCalls,
}

/// How long a hold counts without a result: as long as a call of a model takes at most, and the time
/// to record it.
pub const HOLD: Duration = Duration::from_mins(11);

impl Day {
    /// The day of a moment.
    pub const fn of(at: Timestamp) -> Self {
        Self(at.micros().div_euclid(DAY_MICROS))
    }

    /// When it begins.
    pub const fn start(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_mul(DAY_MICROS))
    }
}

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

impl Period {
    /// Every period.
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// Its name: `day`, `month`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The first day of the period that a moment is in.
    pub fn first_day(self, now: Timestamp) -> Day {
        match self {
            Self::Day => Day::of(now),
            Self::Month => month(now).map_or_else(|| Day::of(now), day),
        }
    }

    /// When the next period begins.
    pub fn renews_at(self, now: Timestamp) -> Timestamp {
        let tomorrow = Day(Day::of(now).0 + 1);
        let next = match self {
            Self::Day => tomorrow,
            Self::Month => month(now)
                .and_then(|first| first.checked_add_months(Months::new(1)))
                .map_or(tomorrow, day),
        };
        next.start()
    }
}

/// The first of the month; `None` for times that no calendar has.
fn month(now: Timestamp) -> Option<NaiveDate> {
    DateTime::<Utc>::from_timestamp_micros(now.micros())?.date_naive().with_day(1)
}

fn day(date: NaiveDate) -> Day {
    let midnight = date.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
    Day::of(Timestamp::from_micros(midnight))
}

impl std::str::FromStr for Period {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|period| period.as_str() == text);
        found.ok_or_else(|| Error::invalid(format!("`{text}` is no period: use day or month")))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Standing {
    /// The first bound that this much more would go over.
    fn refuse(&self, estimate: Estimate, now: Timestamp) -> Option<Refusal> {
        let (budget, spent, held) = (&self.allowance.budget, &self.spent, &self.held);
        let tokens = spent.input_tokens.saturating_add(spent.output_tokens);
        let cost = match estimate.cost_micros {
            Some(cost) => (Bound::Cost, cost),
            None => (Bound::UnknownCost, u64::MAX),
        };
        let counted = [
            (cost.0, budget.cost_micros, spent.cost_micros, held.cost_micros, cost.1),
            (Bound::Tokens, budget.tokens, tokens, Some(held.tokens), estimate.tokens),
            (Bound::ToolCalls, budget.tool_calls, spent.tool_calls, None, 0),
        ];
        counted.into_iter().find_map(|(bound, allowed, used, held, next)| {
            let (allowed, held) = (allowed?, held.unwrap_or(0));
            let taken = used.saturating_add(held);
            let over = taken >= allowed || taken.saturating_add(next) > allowed;
            let allowance = self.allowance;
            let renews_at = allowance.period.renews_at(now);
            over.then_some(Refusal { allowance, bound, used, held, next, allowed, renews_at })
        })
    }
}

/// Whether a call of a model may be made that comes to this much: each allowance must have room for it.
pub fn admit(
    standings: &[Standing],
    estimate: Estimate,
    now: Timestamp,
) -> Result<(), Box<Refusal>> {
    let refusal = standings.iter().find_map(|standing| standing.refuse(estimate, now));
    refusal.map_or(Ok(()), |refusal| Err(Box::new(refusal)))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const DOLLAR: u64 = 1_000_000;

    fn at(text: &str) -> Timestamp {
        let time: DateTime<Utc> = text.parse().unwrap();
        Timestamp::from_micros(time.timestamp_micros())
    }

    fn standing(budget: Budget, spent: u64, held: u64) -> Standing {
        let tenant = TenantId::new(Uuid::nil());
        let allowance = Allowance { tenant, agent: None, period: Period::Day, budget };
        let spent =
            Usage { cost_micros: spent, input_tokens: spent, tool_calls: 3, ..Usage::default() };
        Standing { allowance, spent, held: Estimate { cost_micros: Some(held), tokens: held } }
    }

    fn bound(budget: Budget, spent: u64, held: u64, next: Option<u64>) -> Option<Bound> {
        let estimate = Estimate { cost_micros: next, tokens: next.unwrap_or(1) };
        let admitted =
            admit(&[standing(budget, spent, held)], estimate, at("2026-11-21T12:00:00Z"));
        admitted.err().map(|refusal| refusal.bound)
    }

    #[test]
    fn what_is_spent_and_held_and_comes_next_has_to_fit() {
        let cost = Budget { cost_micros: Some(10 * DOLLAR), ..Budget::default() };
        assert_eq!(bound(cost, 4 * DOLLAR, 3 * DOLLAR, Some(3 * DOLLAR)), None);
        assert_eq!(bound(cost, 4 * DOLLAR, 3 * DOLLAR, Some(3 * DOLLAR + 1)), Some(Bound::Cost));
        assert_eq!(bound(cost, 10 * DOLLAR, 0, Some(0)), Some(Bound::Cost), "nothing is left");
        assert_eq!(bound(cost, 0, 0, None), Some(Bound::UnknownCost));
        let tokens = Budget { tokens: Some(100), ..Budget::default() };
        assert_eq!(bound(tokens, 50, 40, Some(10)), None);
        assert_eq!(bound(tokens, 50, 40, Some(11)), Some(Bound::Tokens));
        assert_eq!(bound(tokens, 50, 40, None), None, "its price does not matter");
        let calls = Budget { tool_calls: Some(3), ..Budget::default() };
        assert_eq!(bound(calls, 0, 0, Some(1)), Some(Bound::ToolCalls));
        assert_eq!(bound(Budget::default(), u64::MAX, u64::MAX, None), None);
    }

    #[test]
    fn each_account_has_to_have_room() {
        let wide = standing(Budget { cost_micros: Some(100), ..Budget::default() }, 0, 0);
        let full = standing(Budget { cost_micros: Some(5), ..Budget::default() }, 5, 0);
        let estimate = Estimate { cost_micros: Some(1), tokens: 1 };
        let now = at("2026-11-21T12:00:00Z");
        assert_eq!(admit(std::slice::from_ref(&wide), estimate, now), Ok(()));
        let refusal = admit(&[wide, full], estimate, now).unwrap_err();
        assert_eq!((refusal.used, refusal.held, refusal.allowed), (5, 0, 5));
        assert_eq!(refusal.renews_at, at("2026-11-22T00:00:00Z"));
    }

    #[test]
    fn periods_follow_the_calendar() {
        let now = at("2026-02-28T23:59:59.999999Z");
        assert_eq!(Period::Day.first_day(now).start(), at("2026-02-28T00:00:00Z"));
        assert_eq!(Period::Day.renews_at(now), at("2026-03-01T00:00:00Z"));
        assert_eq!(Period::Month.first_day(now).start(), at("2026-02-01T00:00:00Z"));
        assert_eq!(Period::Month.renews_at(now), at("2026-03-01T00:00:00Z"));
        assert_eq!(Period::Month.renews_at(at("2026-12-31T00:00:00Z")), at("2027-01-01T00:00:00Z"));
        assert_eq!(Day::of(at("1969-12-31T23:00:00Z")), Day(-1));
    }

    #[test]
    fn a_time_that_no_calendar_has_is_no_panic() {
        for micros in [i64::MIN, i64::MAX] {
            let now = Timestamp::from_micros(micros);
            for period in Period::ALL {
                assert!(period.first_day(now) <= Day::of(now));
                let _ = period.renews_at(now);
            }
        }
    }

    #[test]
    fn periods_have_names() {
        assert_eq!("month".parse::<Period>().unwrap(), Period::Month);
        assert!("week".parse::<Period>().unwrap_err().to_string().contains("day or month"));
    }
}
