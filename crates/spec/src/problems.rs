//! What is wrong with a document: all of it, at once.

use std::fmt;

/// One thing that is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `model.provider`, `tools[2].hosts`. Empty for the document as a whole.
    pub path: String,
    /// What is wrong. Never quotes a value of an unknown field, which may be a secret.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a document, in reading order of the checks; never empty in an
/// error. Displayed one per line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// The single problem of a document that cannot be read any further.
    pub(crate) fn of_document(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self(vec![Problem {
            path: String::new(),
            message: message.into(),
            hint: Some(hint.into()),
        }])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
