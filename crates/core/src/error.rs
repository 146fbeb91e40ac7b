//! The one error type: a closed set of kinds, a message for the client and a context for the log.

use std::fmt;

/// What went wrong, in the eleven kinds that every transport knows how to say.
///
/// The table kind → gRPC code → HTTP status stands in `tenure_proto::status` and is printed into
/// `docs/errors.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong and stays wrong; the message names the field.
    Invalid,
    /// Nobody knows who is asking.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// No such object, or one of another tenant.
    NotFound,
    /// The name, key or `seq` is taken by something else.
    AlreadyExists,
    /// The object is not in a state that allows this.
    WrongState,
    /// The worker no longer owns the run: it drops it and forgets it.
    LeaseLost,
    /// Over a size limit, which the message names.
    TooLarge,
    /// Over a rate or a count; later it may pass.
    TooMany,
    /// A part that Tenure needs is away; later it may pass.
    Unavailable,
    /// A bug or damaged data; the details are in the log.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of the table in `docs/errors.md`.
    pub const ALL: [Self; 11] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::AlreadyExists,
        Self::WrongState,
        Self::LeaseLost,
        Self::TooLarge,
        Self::TooMany,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The word for this kind on the wire and in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::WrongState => "wrong_state",
            Self::LeaseLost => "lease_lost",
            Self::TooLarge => "too_large",
            Self::TooMany => "too_many",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether the very same request may succeed later.
    pub const fn retryable(self) -> bool {
        match self {
            Self::TooMany | Self::Unavailable => true,
            Self::Invalid
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::AlreadyExists
            | Self::WrongState
            | Self::LeaseLost
            | Self::TooLarge
            | Self::Internal => false,
        }
    }
}

/// An error of a [kind](ErrorKind) with what the client reads and what only the log may hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Option<String>,
}

/// The result of everything that can fail in Tenure's domain.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind; `message` goes to the client, so it names the object and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), context: None }
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// There is no such object in this tenant.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Something else already has this name, key or `seq`.
    pub fn already_exists(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::AlreadyExists, message)
    }

    /// The object's state does not allow this.
    pub fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::WrongState, message)
    }

    /// The caller does not own the run (any more).
    pub fn lease_lost(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::LeaseLost, message)
    }

    /// `what` has `size` bytes (or items) and may have `limit`.
    pub fn too_large(what: impl fmt::Display, size: usize, limit: usize) -> Self {
        Self::new(ErrorKind::TooLarge, format!("{what} is {size}; the limit is {limit}"))
    }

    /// A needed part is away; `context` is for the log only.
    pub fn unavailable(message: impl Into<String>, context: impl fmt::Display) -> Self {
        Self { context: Some(context.to_string()), ..Self::new(ErrorKind::Unavailable, message) }
    }

    /// A bug or damaged data. The client is told nothing but that; `context` is for the log.
    pub fn internal(context: impl fmt::Display) -> Self {
        let message = "internal error; the log of the control plane has the details";
        Self { context: Some(context.to_string()), ..Self::new(ErrorKind::Internal, message) }
    }

    /// The kind, which decides codes and retries.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the client reads.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What only the log may hold.
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(&self) -> bool {
        self.kind.retryable()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    /// Kind, message and, because debug output goes to logs and tests only, the context.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.message)?;
        match &self.context {
            Some(context) => write!(f, " ({context})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
