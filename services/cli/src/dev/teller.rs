//! Says what happens, and when.

use std::fmt::Display;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::problem::Problem;
use crate::ui::Ui;
use crate::ui::paint::Paint;
use crate::ui::time;

/// A narrator with a stopwatch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teller {
    ui: Ui,
    started: Instant,
}

impl Teller {
    pub(super) fn new(ui: Ui) -> Self {
        Self { ui, started: Instant::now() }
    }

    pub(super) fn paint(self) -> Paint {
        self.ui.paint()
    }

    pub(super) fn elapsed(self) -> Duration {
        self.started.elapsed()
    }

    /// Something happened.
    pub(super) fn say(self, text: impl Display) -> Result<(), Problem> {
        let at = format!("{:>8} ", time::elapsed(self.elapsed()));
        self.plain(format!("{} {text}", self.paint().dim(at)))
    }

    /// A new part of the story begins.
    pub(super) fn phase(self, title: &str) -> Result<(), Problem> {
        self.plain(format!("\n{}", self.paint().bold(format!("── {title} ──"))))
    }

    /// The same for programs. For people somebody else has said it.
    pub(super) fn event(self, event: &impl Serialize) -> Result<(), Problem> {
        if self.ui.is_json() { self.ui.event(event) } else { Ok(()) }
    }

    /// Lines without a time. In JSON mode a story would be in the way.
    pub(super) fn plain(self, text: impl Display) -> Result<(), Problem> {
        if !self.ui.is_json() {
            self.ui.line(text)?;
        }
        Ok(())
    }
}
