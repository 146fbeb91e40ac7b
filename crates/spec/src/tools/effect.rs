//! What a call of a tool does to the world.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a call of a tool does to the world, which says what may be done when nobody knows whether it
/// has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It changes nothing: repeat it freely.
    Read,
    /// It may change something, and once more changes nothing more: repeat it freely. It is handed
    /// an idempotency key that is the same for every repetition.
    Idempotent,
    /// It must not happen twice: in doubt a person is asked.
    Once,
}

impl Effect {
    /// All effects with their names in documents.
    pub const ALL: [(&str, Self); 3] =
        [("read", Self::Read), ("idempotent", Self::Idempotent), ("once", Self::Once)];

    /// The name in documents and policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Idempotent => "idempotent",
            Self::Once => "once",
        }
    }
}
