//! The command line of `tenure allowances`.

use clap::{Args, Subcommand, ValueEnum};
use tenure_core::Name;

use super::value::dollars;

#[derive(Debug, Subcommand)]
pub(crate) enum Allowances {
    /// What the runs of the tenant and of its agents may use together, and what they have used.
    List,
    /// Set an allowance. It counts from the next call of a model on, in runs that are under way within
    /// five seconds.
    Set {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        bounds: Bounds,
    },
    /// Remove an allowance.
    Unset {
        #[command(flatten)]
        of: Of,
    },
}

/// Which allowance.
#[derive(Debug, Args)]
pub(crate) struct Of {
    /// Of the runs of this agent, instead of all of the tenant's.
    #[arg(long)]
    pub(crate) agent: Option<Name>,
    /// For how long: from midnight to midnight, or from the first of a month, in UTC.
    #[arg(long, value_enum)]
    pub(crate) per: Period,
}

/// How much, at least one of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Bounds {
    /// Money, in dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    pub(crate) cost: Option<u64>,
    /// Tokens, in and out together.
    #[arg(long, value_name = "N")]
    pub(crate) tokens: Option<u64>,
    /// Calls of tools.
    #[arg(long, value_name = "N")]
    pub(crate) tool_calls: Option<u64>,
}

/// By the calendar in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Period {
    Day,
    Month,
}
