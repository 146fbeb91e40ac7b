//! What only the log may hold of an error, under the id that the client gets.

use tenure_core::{Error, ErrorKind};

use crate::entropy::Entropy;

/// An id for a request that brings none.
pub(crate) fn request_id(entropy: &dyn Entropy) -> String {
    format!("{:016x}", entropy.random())
}

/// Logs what an error keeps from the client, if it does.
pub(crate) fn error(request: &str, error: &Error) {
    let Some(context) = error.context() else { return };
    if error.kind() == ErrorKind::Internal {
        tracing::error!(request, "internal error: {context}");
    } else {
        tracing::warn!(request, "{}: {context}", error.message());
    }
}
