//! The first difference between a journal and the code that is replayed over it.

use std::fmt;

use tenure_core::{Digest, EntryKind, Failure, Key};

/// The code asks for something else than the journal recorded under the same key.
///
/// Inserting and removing steps is safe, because they have keys of their own. This is what is not:
/// a step that kept its place and changed its meaning. Going on would hand it a result that was
/// made for another question, so the run is blocked and says what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The key in question.
    pub key: Key,
    /// What the journal recorded.
    pub expected: Side,
    /// What the code asks for now.
    pub found: Side,
}

/// One side of a [`Mismatch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// What kind of work.
    pub kind: EntryKind,
    /// Fingerprint of what it is given.
    pub input: Option<Digest>,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}", self.kind.as_str())?;
        match &self.input {
            // Twelve digits tell two inputs apart and fit a line.
            Some(digest) => write!(f, " with input {:.12}", digest.to_string()),
            None => f.write_str(" without input"),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, expected, found } = self;
        write!(f, "entry `{key}` does not fit the code: expected {expected}, found {found}")
    }
}

impl From<Mismatch> for Failure {
    fn from(mismatch: Mismatch) -> Self {
        Self::permanent("mismatch", mismatch.to_string())
    }
}
