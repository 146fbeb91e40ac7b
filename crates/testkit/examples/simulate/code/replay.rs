//! A journal replayed to its end.

use tenure_core::{Entry, Error, Payload, Result};

use super::{Code, Want};
use crate::script::Script;

/// What the code gives with this journal, asking for nothing.
pub(crate) fn replay(script: &Script, journal: &[Entry]) -> Result<Option<Payload>> {
    let mut code = Code::new(script, journal.iter().cloned())?;
    loop {
        let wants = code.go_on()?;
        if wants.is_empty() {
            return Ok(code.output());
        }
        for want in wants {
            let key = match want {
                Want::Sleep { fiber, .. } => {
                    code.woke(fiber);
                    continue;
                }
                Want::Do { key, .. } => key,
                Want::Record { record, .. } => record.key,
            };
            return Err(Error::internal(format!("`{key}` is not in the journal")));
        }
    }
}
