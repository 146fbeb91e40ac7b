//! Steering: somebody intervenes in a run, and it is on record who and why.

use crate::error::Result;
use crate::key::Key;
use crate::limits;
use crate::text;

/// Who intervened, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steering {
    /// Who asks, such as `ann@example.com`; `tenure` for the system itself.
    pub actor: String,
    /// For people.
    pub reason: String,
}

/// How a run can be steered: the name of the journal entry that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// It was to end.
    Cancel,
    /// It was to rest.
    Pause,
    /// It was to go on.
    Resume,
    /// It was to be tried again.
    Retry,
    /// A step was given another result.
    Patch,
    /// Its place in the queue was changed.
    Prioritize,
}

impl Steer {
    /// The word for this in keys and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Patch => "patch",
            Self::Prioritize => "prioritize",
        }
    }
}

impl Steering {
    /// What the system itself does.
    pub const SYSTEM: &str = "tenure";

    /// Somebody, for a reason.
    pub fn new(actor: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { actor: actor.into(), reason: reason.into() }
    }

    /// The system, for a reason.
    pub fn system(reason: impl Into<String>) -> Self {
        Self::new(Self::SYSTEM, reason)
    }

    /// What was asked, if it is within its limits.
    pub fn checked(self) -> Result<Self> {
        text::check("the actor", &self.actor, limits::NAME)?;
        text::check("the reason", &self.reason, limits::MESSAGE)?;
        Ok(self)
    }
}

/// What every key of the system's own entries starts with; code cannot use it.
pub const RESERVED: &str = "tenure:";

/// The key of the steering entry in place `seq`: places are unique, so it is.
pub(crate) fn key(steer: Steer, seq: u64) -> Key {
    Key::reserved(&format!("{RESERVED}{}#{seq}", steer.as_str()))
}
