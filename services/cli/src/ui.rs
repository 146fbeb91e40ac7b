//! How things look: for people as text, for programs as JSON.

pub(crate) mod confirm;
pub(crate) mod paint;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::cli::Output;
use crate::problem::Problem;
use paint::Paint;
use table::Table;

/// Standard output and what its reader can take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    output: Output,
    paint: Paint,
}

impl Ui {
    /// Asks the environment once: colour only on a terminal and not with `NO_COLOR`.
    pub(crate) fn new(output: Output) -> Self {
        Self { output, paint: Paint::new(io::stdout().is_terminal()) }
    }

    pub(crate) fn is_json(self) -> bool {
        self.output == Output::Json
    }

    pub(crate) fn paint(self) -> Paint {
        self.paint
    }

    /// A line for people.
    #[expect(clippy::unused_self, reason = "whoever prints has decided for text or JSON")]
    pub(crate) fn line(self, line: impl Display) -> io::Result<()> {
        // `println!` would panic when the reader (`| head`) has gone.
        writeln!(io::stdout().lock(), "{line}")
    }

    /// Bytes as they are.
    #[expect(clippy::unused_self, reason = "whoever prints has decided for text or JSON")]
    pub(crate) fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// One object for programs.
    pub(crate) fn object(self, value: &impl Serialize) -> Result<(), Problem> {
        Ok(self.line(serde_json::to_string_pretty(value)?)?)
    }

    /// One event of several for programs, on a line of its own.
    pub(crate) fn event(self, value: &impl Serialize) -> Result<(), Problem> {
        Ok(self.line(serde_json::to_string(value)?)?)
    }

    /// A sentence for people, or what it is about as one object for programs.
    pub(crate) fn tell(self, value: &impl Serialize, text: impl Display) -> Result<(), Problem> {
        match self.output {
            Output::Json => self.object(value),
            Output::Text => Ok(self.line(text)?),
        }
    }

    /// A table for people, or what it shows as one object for programs.
    pub(crate) fn show(self, value: &impl Serialize, table: Table) -> Result<(), Problem> {
        self.tell(value, table.render(self.paint))
    }
}

/// What to know beside the result, on standard error and for people only.
pub(crate) fn note(text: impl Display) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
