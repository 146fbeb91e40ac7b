use tenure_core::allowance::{Period, Standing};
use tenure_core::{Budget, Error, Name, Result, Timestamp};

use super::{budget, timestamp, usage};
use crate::v1;

/// An allowance with how it stands, as the wire says it; `agent` is the name of its agent, if it is of
/// one.
pub fn standing(standing: Standing, agent: Option<&Name>, now: Timestamp) -> v1::Allowance {
    let Standing { allowance, spent, held } = standing;
    let held =
        Budget { cost_micros: held.cost_micros, tokens: Some(held.tokens), tool_calls: None };
    v1::Allowance {
        agent: agent.map(Name::to_string).unwrap_or_default(),
        period: period(allowance.period).into(),
        budget: budget(allowance.budget),
        spent: Some(usage(spent)),
        held: budget(held),
        renews_at: Some(timestamp(allowance.period.renews_at(now))),
    }
}

fn period(period: Period) -> v1::Period {
    match period {
        Period::Day => v1::Period::Day,
        Period::Month => v1::Period::Month,
    }
}

/// A period from the wire.
pub fn period_in(period: v1::Period) -> Result<Period> {
    match period {
        v1::Period::Day => Ok(Period::Day),
        v1::Period::Month => Ok(Period::Month),
        v1::Period::Unspecified => Err(Error::invalid("period is missing: use day or month")),
    }
}
