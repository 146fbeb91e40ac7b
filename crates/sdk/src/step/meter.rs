//! Asking whether there is something left to pay a call of a model with.

use std::fmt;

use tenure_core::allowance::Estimate;
use tenure_core::{Failure, Key};

use super::Attempt;
use crate::context::Context;

/// The code of the failure of a call that an allowance has no room for.
pub const ALLOWANCE_SPENT: &str = "allowance_spent";

/// Reserves for one step.
#[derive(Clone)]
pub(crate) struct Meter {
    pub(super) context: Context,
    pub(super) key: Key,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Attempt {
    /// Reserves what a call of a model may come to, of what the run's tenant and agent may use together
    /// in this day and month. To be called before the model is, where the tenant has allowances; what
    /// was reserved is given back when this step is recorded. The failure is permanent: of the code
    /// [`ALLOWANCE_SPENT`], or `price_unknown` where there is an allowance of money and the estimate
    /// names no cost.
    pub async fn reserve(&self, estimate: Estimate) -> Result<(), Failure> {
        self.meter.context.leased().reserve(&self.meter.key, estimate).await
    }
}
