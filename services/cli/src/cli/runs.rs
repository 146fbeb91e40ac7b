//! The command line of `tenure runs`.

use clap::{Args, Subcommand, ValueEnum};
use tenure_core::{Name, StateName};

use super::run::Input;
use super::value::{failure, label, state};
use super::{Actor, By};

#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    /// Runs, newest first.
    ///
    /// Those that were given up, the dead letters: tenure runs list --failure exhausted
    List(ListRuns),
    /// One run with its input, output and usage, what it waits for and what it asks.
    #[command(visible_alias = "show")]
    Get {
        /// The run's id.
        run: String,
    },
    /// Why a run is where it is, in a sentence.
    Why {
        /// The run's id.
        run: String,
    },
    /// Let a run rest: at once if nobody is working on it, else after its current step.
    Pause(Steer),
    /// Let a paused run go on.
    Resume(Steer),
    /// Try a run again now: one that is blocked, or that waits for its next attempt.
    Retry(Steer),
    /// Ask a run to end. Its worker has 30 s to clean up.
    Cancel(Steer),
    /// Give a blocked run the result of a step, and let it go on.
    ///
    /// The result stands in the journal under the step's key, with who gave it and why; whatever
    /// the step is given then, it is not executed. `tenure runs get RUN` says which step it is.
    Patch(Patch),
    /// Move a run within its queue.
    Prioritize {
        /// The run's id.
        run: String,
        /// From -9 to 9; 0 unless said otherwise, and higher ones first.
        #[arg(allow_negative_numbers = true)]
        priority: i32,
        #[command(flatten)]
        by: By,
    },
    /// Try a run that has failed once more, as a new run with the whole journal of the first.
    ///
    /// What has succeeded is not executed again; the step that failed is.
    Requeue {
        /// The id of a run that has failed or was cancelled.
        run: String,
    },
    /// Start a new run with the first entries of another's journal.
    ///
    /// The new run has these results as its own and executes what comes after them, on the same
    /// version or another one. The first run is not changed.
    #[command(disable_version_flag = true)]
    Fork(Fork),
    /// Check whether the code still agrees with the journal of a run. Nothing is executed.
    ///
    /// A worker replays the journal on the run's version or on another one. The exit status is 0
    /// only if they agree.
    #[command(disable_version_flag = true)]
    Replay {
        /// The run's id.
        run: String,
        /// A version number or an alias, instead of the run's version.
        #[arg(long)]
        version: Option<Name>,
    },
    /// What two runs have recorded, side by side.
    ///
    /// The exit status is 0 if they have recorded the same, and 1 if not.
    Diff {
        /// The id of one run.
        a: String,
        /// The id of the other.
        b: String,
    },
    /// Send a run a message that it waits for.
    Signal {
        /// The run's id.
        run: String,
        /// The name that the run waits for.
        name: Name,
        /// What it is given: a text, @FILE, or - for standard input; JSON if it is JSON.
        #[arg(long, value_name = "TEXT|@FILE|-")]
        payload: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListRuns {
    /// Only runs of this agent.
    #[arg(long)]
    pub(crate) agent: Option<Name>,
    /// Only runs in this state; may be given several times.
    #[arg(long = "state", value_parser = state)]
    pub(crate) states: Vec<StateName>,
    /// Only runs that failed with this code, such as `exhausted`.
    #[arg(long, value_name = "CODE")]
    pub(crate) failure: Option<String>,
    /// Only runs that this run has called.
    #[arg(long, value_name = "RUN")]
    pub(crate) parent: Option<String>,
    /// Only runs with this concurrency key.
    #[arg(long, value_name = "KEY")]
    pub(crate) concurrency_key: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
}

/// Somebody intervenes in a run.
#[derive(Debug, Args)]
pub(crate) struct Steer {
    /// The run's id.
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) by: By,
}

#[derive(Debug, Args)]
pub(crate) struct Patch {
    /// The run's id.
    pub(crate) run: String,
    /// The step's key, as the failure of the blocked run names it.
    #[arg(long)]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) given: Given,
    /// Why, for whoever reads the journal later.
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) actor: Actor,
}

/// The result that a step is given.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Given {
    /// The step gives this: JSON, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub(crate) result: Option<String>,
    /// The step fails with this.
    #[arg(long, value_name = "CODE:MESSAGE", value_parser = failure)]
    pub(crate) failure: Option<(String, String)>,
    /// The step gives nothing (the JSON null).
    #[arg(long)]
    pub(crate) skip: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Fork {
    /// The id of the run whose journal the new one begins with.
    pub(crate) run: String,
    /// Take what stands before the entry with this key; left out, take everything but the failure
    /// that ended the run.
    #[arg(long, value_name = "KEY")]
    pub(crate) from_step: Option<String>,
    /// A version number or an alias, instead of the run's version.
    #[arg(long)]
    pub(crate) version: Option<Name>,
    /// What becomes of tools that were called behind that place.
    #[arg(long, value_enum, default_value_t = Tools::Live)]
    pub(crate) tools: Tools,
    #[command(flatten)]
    pub(crate) input: Input,
    /// A label to find the new run by, instead of the other run's labels.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// The same key again returns the same run.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// What becomes of tools in a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tools {
    /// They are called.
    Live,
    /// What they gave is taken from the first run; one that is asked for something else blocks the
    /// new run.
    Recorded,
}
