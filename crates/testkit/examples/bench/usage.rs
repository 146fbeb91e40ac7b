//! Processor time of all that takes part, and of what does not.

use std::time::{Duration, Instant};

use tenure_testkit::processor;

/// The processes that are watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    pub(crate) control_plane: u32,
    pub(crate) worker: u32,
    pub(crate) load: u32,
    /// The first process of PostgreSQL; its children are counted with it.
    pub(crate) postgres: u32,
}

/// Processor time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) control_plane: Duration,
    pub(crate) postgres: Duration,
    pub(crate) worker: Duration,
    pub(crate) load: Duration,
    /// Of everything on the machine that is none of these.
    pub(crate) others: Duration,
}

/// A watch that runs.
pub(crate) struct Watch {
    watched: Watched,
    before: Usage,
    began: Instant,
}

impl Watched {
    /// Begins to count.
    pub(crate) fn start(self) -> anyhow::Result<Watch> {
        Ok(Watch { watched: self, before: self.used()?, began: Instant::now() })
    }

    /// What was used until now.
    fn used(self) -> anyhow::Result<Usage> {
        let control_plane = processor::of_process(self.control_plane)?;
        let postgres = processor::of_family(self.postgres)?;
        let worker = processor::of_process(self.worker)?;
        let load = processor::of_process(self.load)?;
        let own = processor::of_process(std::process::id())?;
        let ours = control_plane + postgres + worker + load + own;
        let others = processor::of_machine()?.saturating_sub(ours);
        Ok(Usage { control_plane, postgres, worker, load, others })
    }
}

impl Watch {
    /// What was used meanwhile, and how long that was.
    pub(crate) fn stop(self) -> anyhow::Result<(Usage, Duration)> {
        let (after, before) = (self.watched.used()?, self.before);
        let usage = Usage {
            control_plane: after.control_plane.saturating_sub(before.control_plane),
            postgres: after.postgres.saturating_sub(before.postgres),
            worker: after.worker.saturating_sub(before.worker),
            load: after.load.saturating_sub(before.load),
            others: after.others.saturating_sub(before.others),
        };
        Ok((usage, self.began.elapsed()))
    }
}
