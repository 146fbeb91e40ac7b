//! The command line of `tenure inbox`.

use std::time::Duration;

use clap::{Args, Subcommand};
use tenure_core::Name;

use super::value::span;
use super::{Actor, By};

const APPROVE: &str = "Examples:
  tenure inbox approve int_…
  tenure inbox approve int_… --edit '{\"dollars\": 100}' --reason 'without shipping'
  tenure inbox approve --all-open --agent refunds --older-than 1h";

const ANSWER: &str = "Examples:
  tenure inbox answer int_… '{\"seats\": 3}'
  tenure inbox answer int_… 'the blue one'
  tenure inbox answer --all-open --run run_… yes";

#[derive(Debug, Subcommand)]
pub(crate) enum Inbox {
    /// What runs ask people, the oldest first.
    List(ListInbox),
    /// One question: what it is about, what may be answered, until when, and with which command.
    #[command(visible_alias = "get")]
    Show {
        /// The interrupt's id.
        #[arg(value_name = "ID")]
        interrupt: String,
    },
    /// Let what was asked happen, as it was asked or with other arguments.
    ///
    /// Several ids are answered alike, each for itself. With --all-open all that are open and fit
    /// the filter are; it says how many they are and asks first.
    #[command(after_help = APPROVE)]
    Approve {
        #[command(flatten)]
        which: Which,
        /// Go on with this instead of what was asked: JSON, @FILE, or - for standard input.
        #[arg(long, value_name = "JSON|@FILE|-")]
        edit: Option<String>,
        #[command(flatten)]
        by: By,
    },
    /// Do not let it happen. The run is told why.
    Reject {
        #[command(flatten)]
        which: Which,
        /// Why, for the run and for whoever looks at it later.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        actor: Actor,
    },
    /// Answer with a value, which is then the result of the question.
    ///
    /// The value is JSON. Where the question takes a text, the text itself will do.
    #[command(after_help = ANSWER, allow_missing_positional = true)]
    Answer {
        #[command(flatten)]
        which: Which,
        /// JSON or a text, @FILE, or - for standard input.
        #[arg(value_name = "VALUE", required = true)]
        value: String,
        #[command(flatten)]
        by: By,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListInbox {
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Those that have been answered, have timed out or are closed as well.
    #[arg(long)]
    pub(crate) all: bool,
    /// How many at most.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
}

/// Which questions are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Filter {
    /// Only those of this agent's runs.
    #[arg(long)]
    pub(crate) agent: Option<Name>,
    /// Only those of this run.
    #[arg(long)]
    pub(crate) run: Option<String>,
    /// Only those that this person or role is to answer.
    #[arg(long, value_name = "WHO")]
    pub(crate) assignee: Option<String>,
    /// Only those that have been open for at least this long, such as 1h.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) older_than: Option<Duration>,
}

/// Which questions are answered.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Ids of interrupts.
    #[arg(value_name = "ID", required_unless_present = "all_open")]
    pub(crate) ids: Vec<String>,
    /// All that are open and can be answered so, instead of some by their ids.
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all_open: bool,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Answer all of them without asking.
    #[arg(long, requires = "all_open")]
    pub(crate) yes: bool,
}
