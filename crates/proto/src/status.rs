//! The one table of errors: kind ↔ gRPC code ↔ HTTP status, both directions in one file.
//!
//! `docs/errors.md` is printed from this by a test. A kind travels as the gRPC code plus the
//! metadata key [`KIND`], because two kinds may share an HTTP status and clients of other languages
//! may only see the code.

use tenure_core::{Error, ErrorKind};
use tonic::{Code, Status};

use crate::v1;

/// Metadata key that carries the kind's word beside the gRPC code.
pub const KIND: &str = "tenure-error-kind";

/// The gRPC code of a kind.
pub const fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Forbidden => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::WrongState => Code::FailedPrecondition,
        ErrorKind::LeaseLost => Code::Aborted,
        ErrorKind::TooLarge => Code::OutOfRange,
        ErrorKind::TooMany => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Internal => Code::Internal,
    }
}

/// The HTTP status of a kind.
pub const fn http(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::Invalid => 400,
        ErrorKind::Unauthenticated => 401,
        ErrorKind::Forbidden => 403,
        ErrorKind::NotFound => 404,
        ErrorKind::AlreadyExists | ErrorKind::WrongState | ErrorKind::LeaseLost => 409,
        ErrorKind::TooLarge => 413,
        ErrorKind::TooMany => 429,
        ErrorKind::Unavailable => 503,
        ErrorKind::Internal => 500,
    }
}

/// The word for a gRPC code, as HTTP/JSON says it.
pub const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The kind that a gRPC code stands for. Codes that Tenure never sends come from transports and
/// proxies: a connection that broke is worth another try, anything else is a bug somewhere.
pub const fn kind(code: Code) -> ErrorKind {
    match code {
        Code::InvalidArgument => ErrorKind::Invalid,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::PermissionDenied => ErrorKind::Forbidden,
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::AlreadyExists,
        Code::FailedPrecondition => ErrorKind::WrongState,
        Code::Aborted => ErrorKind::LeaseLost,
        Code::OutOfRange => ErrorKind::TooLarge,
        Code::ResourceExhausted => ErrorKind::TooMany,
        Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown => {
            ErrorKind::Unavailable
        }
        Code::Ok | Code::Unimplemented | Code::Internal | Code::DataLoss => ErrorKind::Internal,
    }
}

/// The status that says this error. What is for the log only stays behind.
pub fn to_status(error: &Error) -> Status {
    let mut status = Status::new(code(error.kind()), error.message());
    let word = tonic::metadata::MetadataValue::from_static(error.kind().as_str());
    status.metadata_mut().insert(KIND, word);
    status
}

/// The error that a status says.
pub fn from_status(status: &Status) -> Error {
    Error::new(kind(status.code()), status.message())
}

/// What a status would say, as a part of an answer.
pub fn refusal(error: &Error) -> v1::Refusal {
    v1::Refusal {
        code: code(error.kind()).into(),
        message: error.message().to_owned(),
        kind: error.kind().as_str().to_owned(),
    }
}

/// The error that a part of an answer says.
pub fn from_refusal(refusal: &v1::Refusal) -> Error {
    Error::new(kind(Code::from_i32(refusal.code)), refusal.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_from_its_code() {
        for kind in ErrorKind::ALL {
            assert_eq!(super::kind(code(kind)), kind);
            let error = Error::new(kind, "what happened");
            assert_eq!(from_status(&to_status(&error)), error);
            assert_eq!(from_refusal(&refusal(&error)), error);
        }
    }

    #[test]
    fn the_context_stays_behind() {
        let status = to_status(&Error::internal("password=hunter2"));
        assert!(!format!("{status:?}").contains("hunter2"));
    }
}
