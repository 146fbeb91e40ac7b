//! Where ids and randomness come from.

use uuid::Uuid;

/// A source of ids and randomness: the system's, or a seeded one in tests.
pub trait Entropy: Send + Sync + 'static {
    /// Bits for an object that is created now: they sort by time.
    fn object_id(&self) -> Uuid;

    /// Bits that nobody can guess or repeat, for a lease.
    fn lease_id(&self) -> Uuid;

    /// Any number.
    fn random(&self) -> u64;
}

/// The system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

#[expect(clippy::disallowed_methods, reason = "this is the place that others take them from")]
impl Entropy for SystemEntropy {
    fn object_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn lease_id(&self) -> Uuid {
        Uuid::new_v4()
    }

    fn random(&self) -> u64 {
        fastrand::u64(..)
    }
}
