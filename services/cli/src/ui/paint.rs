//! Colour, where it is wanted.

use std::env;
use std::fmt::Display;

/// Adds colour, or does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    enabled: bool,
}

impl Paint {
    /// Colour on a terminal, unless its user has said no (<https://no-color.org>).
    pub(crate) fn new(is_terminal: bool) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { enabled: is_terminal && !refused && !dumb }
    }

    /// No colour.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { enabled: false }
    }

    pub(crate) fn is_enabled(self) -> bool {
        self.enabled
    }

    fn sgr(self, code: &str, text: impl Display) -> String {
        if self.enabled {
            return format!("\u{1b}[{code}m{text}\u{1b}[0m");
        }
        text.to_string()
    }

    pub(crate) fn bold(self, text: impl Display) -> String {
        self.sgr("1", text)
    }

    pub(crate) fn dim(self, text: impl Display) -> String {
        self.sgr("2", text)
    }

    pub(crate) fn good(self, text: impl Display) -> String {
        self.sgr("32", text)
    }

    pub(crate) fn bad(self, text: impl Display) -> String {
        self.sgr("31", text)
    }

    pub(crate) fn notable(self, text: impl Display) -> String {
        self.sgr("33", text)
    }
}
