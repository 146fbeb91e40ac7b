//! Why the code of a run does not go on.

use std::fmt;

use tenure_core::Failure;

/// Why the code of a run does not go on: a failure, or control flow.
///
/// It is deliberately not a [`std::error::Error`], so that `?` turns every error into one. Code
/// that wants to handle a failure matches [`Stop::Failed`] and passes everything else on.
pub enum Stop {
    /// A step failed for good, or the code itself says that it cannot do its work. Passed on, it
    /// fails the run.
    Failed(Failure),
    /// The code no longer fits its journal; the run waits for a person's decision.
    Blocked(Failure),
    /// Somebody asked to cancel the run.
    Cancelled,
    /// Another worker owns the run. Whatever this one still does is in vain.
    LeaseLost,
    /// The run is parked until something arrives; its code will run again then.
    Suspended,
    /// The run is given back: this worker is going away and another will go on, or the run is to rest.
    Drained,
}

impl Stop {
    /// A failure that another attempt would not mend.
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Failed(Failure::permanent(code, message))
    }
}

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => write!(f, "failed: {}: {}", failure.code, failure.message),
            Self::Blocked(failure) => write!(f, "blocked: {}: {}", failure.code, failure.message),
            Self::Cancelled => f.write_str("cancelled"),
            Self::LeaseLost => f.write_str("lease lost"),
            Self::Suspended => f.write_str("suspended"),
            Self::Drained => f.write_str("drained"),
        }
    }
}
