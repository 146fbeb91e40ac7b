//! The command line of `tenure policy`.

use std::path::PathBuf;

use clap::Subcommand;
use tenure_core::Name;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// The policy of the tenant: what the tools of all its agents may do at most.
    Show,
    /// Set the policy of the tenant. It counts from the next reply of a model on.
    Set {
        /// The policy in YAML or JSON, as `policy` in a specification; `-` is standard input.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Remove the policy of the tenant.
    Unset,
    /// Run a policy over the calls of tools of past runs, and show what it would have done.
    ///
    /// Nothing is changed. A call whose effect is not on record counts as `once`.
    Check {
        /// The policy in YAML or JSON, as `policy` in a specification; `-` is standard input.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Only these runs, instead of the newest.
        #[arg(value_name = "RUN")]
        runs: Vec<String>,
        /// Only runs of this agent.
        #[arg(long, conflicts_with = "runs")]
        agent: Option<Name>,
        /// How many runs at most, the newest first.
        #[arg(long, default_value_t = 50, conflicts_with = "runs")]
        limit: usize,
        /// List the calls that would be allowed, too.
        #[arg(long)]
        all: bool,
    },
}
