//! The code of a run, as data: a small program that chance writes for each run.

mod writer;

use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::{Concurrency, RetryPolicy};
use tenure_core::{Name, Question};

use crate::dice::Dice;
use writer::Writer;
pub(crate) use writer::signal;

/// What a run does, and on which terms.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) parts: Parts,
    pub(crate) end: End,
    pub(crate) terms: Terms,
}

/// One thing after the other.
pub(crate) type Parts = Arc<[Part]>;

/// Every script that runs may call, by number.
pub(crate) type Library = Vec<Arc<Script>>;

#[derive(Debug)]
pub(crate) enum Part {
    /// Work that takes this long.
    Step {
        name: &'static str,
        takes: Duration,
        fails: Fails,
    },
    /// Work that must not happen twice.
    Once {
        name: &'static str,
        takes: Duration,
        finds_out: bool,
    },
    /// A wait for the next signal of this name.
    Wait(Name),
    /// A question, named by its title.
    Ask(Question),
    /// The call of another script; one that is not awaited is only made.
    Call {
        script: usize,
        detached: bool,
        awaited: bool,
    },
    Sleep(Duration),
    /// Here the code cannot go on until somebody gives it the result of a step.
    Stuck,
    /// At the same time, each in a scope of its own.
    Branches(Vec<Parts>),
}

/// How a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fails {
    Never,
    /// For good; the code goes on with that.
    Always,
    /// So many times, and each time the run with it, which may be tried again.
    First(usize),
}

/// How the code ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Succeed,
    Fail,
    /// It asks for another attempt until it has had so many.
    SucceedAfter(u32),
}

/// What its creator asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) retry: RetryPolicy,
    pub(crate) priority: i32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) concurrency: Option<Concurrency>,
}

impl Script {
    /// A script by chance; those that it calls are put into the library.
    pub(crate) fn new(dice: &mut Dice, library: &mut Library) -> Self {
        Writer::new(dice, library).script()
    }

    /// The signals that the code waits for, one for each wait.
    pub(crate) fn signals(&self) -> Vec<Name> {
        let mut found = Vec::new();
        collect(&self.parts, &mut found);
        found
    }
}

fn collect(parts: &[Part], found: &mut Vec<Name>) {
    for part in parts {
        match part {
            Part::Wait(name) => found.push(name.clone()),
            Part::Branches(branches) => {
                for branch in branches {
                    collect(branch, found);
                }
            }
            Part::Step { .. }
            | Part::Once { .. }
            | Part::Ask(_)
            | Part::Call { .. }
            | Part::Sleep(_)
            | Part::Stuck => {}
        }
    }
}
