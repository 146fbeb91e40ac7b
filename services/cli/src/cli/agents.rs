//! The command line of `tenure agents` and `tenure tenants`.

use clap::Subcommand;
use tenure_core::Name;

use super::value::{AgentRef, Cap, cap, target};

#[derive(Debug, Subcommand)]
pub(crate) enum Agents {
    /// Agents by name.
    List,
    /// One agent with its aliases and its newest specification.
    Get {
        /// The agent, or with @VERSION one version of it.
        #[arg(value_name = "AGENT[@VERSION]")]
        agent: AgentRef,
    },
    /// Versions of an agent, newest first.
    Versions {
        /// The agent's name.
        agent: Name,
    },
    /// Point an alias to versions: `tenure agents alias digest stable 3=9 4=1`.
    Alias {
        /// The agent's name.
        agent: Name,
        /// The alias, such as `stable`.
        alias: Name,
        /// Version numbers; the weight is 1 if it is not given.
        #[arg(required = true, value_name = "VERSION[=WEIGHT]", value_parser = target)]
        targets: Vec<(u32, u32)>,
    },
    /// Check which parked runs would not agree with a version: before a deploy, not after it.
    ///
    /// A worker replays the journal of each waiting run on that version; nothing is executed. The
    /// exit status is 0 only if none of them would block.
    #[command(disable_version_flag = true)]
    Check {
        /// The agent's name.
        agent: Name,
        /// A version number or an alias.
        #[arg(long)]
        version: Name,
        /// How many runs at most, the newest first.
        #[arg(long, default_value_t = 200)]
        limit: usize,
    },
    /// Bound how many runs of an agent are executed at a time. What is running goes on.
    Cap {
        /// The agent's name.
        agent: Name,
        /// At least 1, or `none`.
        #[arg(value_name = "N|none", value_parser = cap)]
        cap: Cap,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tenants {
    /// Create a tenant.
    Create {
        /// Its name.
        name: Name,
    },
    /// Tenants by name.
    List,
    /// One tenant.
    Get {
        /// Its name.
        name: Name,
    },
    /// Bound how many runs of a tenant are executed at a time. What is running goes on.
    Cap {
        /// Its name.
        name: Name,
        /// At least 1, or `none`.
        #[arg(value_name = "N|none", value_parser = cap)]
        cap: Cap,
    },
}
