//! The command line of `tenure run`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::value::{AgentRef, dollars, label, span};

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The agent, with a version number or an alias if it is not to be the newest version.
    #[arg(value_name = "AGENT[@VERSION]")]
    pub(crate) agent: AgentRef,
    #[command(flatten)]
    pub(crate) input: Input,
    /// Start it no earlier than after this time, such as 90s or 10m.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) start_after: Option<Duration>,
    /// A label to find the run by.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// The same key again returns the same run.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(crate) terms: Terms,
    /// Show each step as it is recorded, and wait for the end.
    #[arg(long)]
    pub(crate) follow: bool,
    /// Wait for the end; the exit status is 0 only if the run succeeded.
    #[arg(long)]
    pub(crate) wait: bool,
}

/// What a run is given.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// What it is given: a text, @FILE, or - for standard input.
    #[arg(long, value_name = "TEXT|@FILE|-")]
    pub(crate) input: Option<String>,
    /// The input is JSON.
    #[arg(long, requires = "input")]
    pub(crate) json: bool,
}

/// When a run is executed, and what happens when it fails.
#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// From -9 to 9: runs with a higher one are executed first.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) priority: i32,
    /// How long it may take in all, the wait in the queue included; then it fails (deadline).
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) timeout: Option<Duration>,
    /// How often it is tried again if it fails in a way that another attempt may mend. Steps that
    /// succeeded are not executed again.
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,
    /// The pause before it is tried again; 1s if it is not given.
    #[arg(long, value_name = "TIME", value_parser = span, requires = "retries")]
    pub(crate) backoff: Option<Duration>,
    /// The pause doubles each time up to this; left out, it stays the same.
    #[arg(long, value_name = "TIME", value_parser = span, requires = "retries")]
    pub(crate) max_backoff: Option<Duration>,
    /// One run at a time is executed among those with this key, such as a session's id.
    #[arg(long, value_name = "KEY")]
    pub(crate) concurrency_key: Option<String>,
    /// What happens while another run has the turn of its key.
    #[arg(long, value_enum, default_value_t = TurnPolicy::Queue, requires = "concurrency_key")]
    pub(crate) concurrency_policy: TurnPolicy,
    /// How much money it may cost at most, in dollars, the runs that it calls included.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    pub(crate) budget_cost: Option<u64>,
    /// How many tokens it may use at most, the runs that it calls included.
    #[arg(long, value_name = "N")]
    pub(crate) budget_tokens: Option<u64>,
    /// How many tools it may call at most, the runs that it calls included.
    #[arg(long, value_name = "N")]
    pub(crate) budget_tool_calls: Option<u64>,
}

/// What happens to a new run while another has the turn of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TurnPolicy {
    /// It waits for its turn.
    Queue,
    /// It is refused.
    Reject,
    /// The others are cancelled.
    Replace,
}
