//! One line on standard error that says how far things are.

use std::io::{self, IsTerminal as _, Write as _};

use crate::ui::{note, text};

/// The line: rewritten in place on a terminal, a line per change elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    enabled: bool,
    shown: String,
}

impl Progress {
    /// A line that is empty so far; for ever if `enabled` is false.
    pub(crate) fn new(enabled: bool) -> Self {
        Self { terminal: io::stderr().is_terminal(), enabled, shown: String::new() }
    }

    /// Says where things are: `state` everywhere, `detail` only where it can be rewritten.
    pub(crate) fn set(&mut self, state: &str, detail: &str) {
        let line = if self.terminal { format!("{state}{detail}") } else { state.to_owned() };
        if !self.enabled || line == self.shown {
            return;
        }
        if self.terminal {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[2K{}", text::line(&line));
        } else {
            note(text::line(&line));
        }
        self.shown = line;
    }

    /// Takes the line away, so that something else can be printed.
    pub(crate) fn clear(&mut self) {
        if self.terminal && !self.shown.is_empty() {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[2K");
            self.shown.clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
