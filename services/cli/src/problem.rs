//! What a command says when it cannot do what it was asked.

use std::fmt::Write as _;
use std::io::{self, ErrorKind as IoErrorKind};

use tenure_core::{Error, ErrorKind};

use crate::ui::text;

/// What happened, and what to do next.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    hint: Option<String>,
    /// Whether the control plane is away.
    unavailable: bool,
    /// The reader of our output has gone, which is no failure of ours.
    silent: bool,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, unavailable: false, silent: false }
    }

    /// What to do next.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Names the control plane if it is the problem: a reason such as "refused" alone does not.
    pub(crate) fn at(self, url: &str) -> Self {
        if !self.unavailable {
            return self;
        }
        let message = format!("the control plane at {url} is unavailable: {}", self.message);
        Self { message, ..self }
    }

    /// Reading or writing `path` failed.
    pub(crate) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        Self::new(format!("{}: {error}", path.display()))
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// The lines for standard error.
    pub(crate) fn render(&self) -> String {
        let mut lines = format!("error: {}", text::lines(&self.message).trim_end());
        if let Some(hint) = &self.hint {
            let _ = write!(lines, "\nhint: {}", text::lines(hint));
        }
        lines
    }
}

/// What helps with an error of this kind, where its message cannot know it.
fn hint(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unavailable => Some("start one with 'tenure dev', or name another with --url"),
        ErrorKind::NotFound => Some(
            "look with 'tenure agents list', 'tenure runs list' or 'tenure inbox list'; another \
             tenant's need --tenant",
        ),
        ErrorKind::TooMany => Some("try again in a moment"),
        _ => None,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let unavailable = error.kind() == ErrorKind::Unavailable;
        let problem = Self { unavailable, ..Self::new(error.message()) };
        match hint(error.kind()) {
            Some(text) => problem.hint(text),
            None => problem,
        }
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        let silent = error.kind() == IoErrorKind::BrokenPipe;
        Self { silent, ..Self::new(error.to_string()) }
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::from(io::Error::from(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_control_plane_can_be_started() {
        let problem = Problem::from(Error::unavailable("tcp connect error", "refused"));
        insta::assert_snapshot!(problem.at("http://127.0.0.1:7700").render(), @r"
        error: the control plane at http://127.0.0.1:7700 is unavailable: tcp connect error
        hint: start one with 'tenure dev', or name another with --url
        ");
    }

    #[test]
    fn text_of_the_server_cannot_steer_the_terminal() {
        let problem = Problem::from(Error::invalid("red \u{1b}[31m")).at("http://127.0.0.1:7700");
        assert_eq!(problem.render(), r"error: red \u{1b}[31m");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        assert!(Problem::from(io::Error::from(IoErrorKind::BrokenPipe)).is_silent());
        assert!(!Problem::from(io::Error::from(IoErrorKind::NotFound)).is_silent());
    }
}
