//! What the control plane keeps about tenants and holds in the midst of their runs: a policy, and
//! whether calls of models have to be reserved.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tenure_sdk::{Attempt, Client, Context, Estimate, Failure, Name, v1};
use tenure_spec::Policy;

/// How long what was heard counts: what is tightened holds everywhere after this long.
const FRESH: Duration = Duration::from_secs(5);

/// The tenants that a worker has heard of. Each is asked about again when it is needed and what was
/// heard is older than five seconds.
#[derive(Default)]
pub struct Tenants {
    heard: Mutex<HashMap<Name, Heard>>,
}

/// What was heard of a tenant, and when.
#[derive(Clone)]
struct Heard {
    /// Or why it cannot be read, which concerns those only whom it would bind.
    policy: Result<Option<Arc<Policy>>, Failure>,
    /// Whether it, or one of its agents, has an allowance.
    metered: bool,
    at: Instant,
}

impl Tenants {
    /// The policy of the tenant that the client speaks for.
    pub(crate) async fn policy(&self, client: &Client) -> Result<Option<Arc<Policy>>, Failure> {
        self.ask(client).await?.policy
    }

    /// Reserves what a call of a model may come to, if its tenant has allowances. Nothing is asked
    /// where it has none.
    pub(crate) async fn reserve(
        &self,
        ctx: &Context,
        attempt: &Attempt,
        estimate: impl FnOnce() -> Result<Estimate, Failure>,
    ) -> Result<(), Failure> {
        if !self.ask(ctx.client()).await?.metered {
            return Ok(());
        }
        attempt.reserve(estimate()?).await
    }

    async fn ask(&self, client: &Client) -> Result<Heard, Failure> {
        let tenant = client.tenant();
        if let Some(heard) = self.fresh(tenant) {
            return Ok(heard);
        }
        let request = v1::GetTenantRequest { name: tenant.to_string() };
        let answer = client.tenants().get_tenant(request).await.map_err(|status| {
            let why = format!("tenant `{tenant}` cannot be asked about: {status}");
            Failure::retryable("tenant_unknown", why)
        })?;
        let v1::Tenant { policy, metered, .. } = answer.into_inner();
        let policy = policy.map(|text| read(tenant, &text)).transpose();
        let heard = Heard { policy, metered, at: Instant::now() };
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(tenant.clone(), heard.clone());
        Ok(heard)
    }

    fn fresh(&self, tenant: &Name) -> Option<Heard> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get(tenant).filter(|heard| heard.at.elapsed() < FRESH).cloned()
    }
}

fn read(tenant: &Name, text: &str) -> Result<Arc<Policy>, Failure> {
    tenure_spec::policy(text).map(Arc::new).map_err(|problems| {
        let why = format!("this worker does not understand the policy of `{tenant}`: {problems}");
        Failure::permanent("policy_unreadable", why)
    })
}
