//! The policies of tenants, which the control plane keeps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tenure_sdk::{Client, Failure, Name, v1};
use tenure_spec::Policy;

/// How long what was heard counts: a policy that is tightened holds everywhere after this long.
const FRESH: Duration = Duration::from_secs(5);

/// The policies of tenants that a worker has heard of. Each is asked for again when it is needed and
/// older than five seconds.
#[derive(Default)]
pub struct Tenants {
    heard: Mutex<HashMap<Name, Heard>>,
}

/// A tenant's policy, if it has one, and when we heard so.
struct Heard {
    policy: Option<Arc<Policy>>,
    at: Instant,
}

impl Tenants {
    /// The policy of the tenant that the client speaks for.
    pub(super) async fn policy(&self, client: &Client) -> Result<Option<Arc<Policy>>, Failure> {
        let tenant = client.tenant();
        if let Some(heard) = self.heard(tenant) {
            return Ok(heard);
        }
        let request = v1::GetTenantRequest { name: tenant.to_string() };
        let answer = client.tenants().get_tenant(request).await.map_err(|status| {
            let why = format!("the policy of tenant `{tenant}` cannot be asked for: {status}");
            Failure::retryable("policy_unknown", why)
        })?;
        let policy = answer.into_inner().policy.map(|text| read(tenant, &text)).transpose()?;
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.insert(tenant.clone(), Heard { policy: policy.clone(), at: Instant::now() });
        Ok(policy)
    }

    #[expect(clippy::option_option, reason = "not heard of, or heard that there is none")]
    fn heard(&self, tenant: &Name) -> Option<Option<Arc<Policy>>> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = heard.get(tenant).filter(|heard| heard.at.elapsed() < FRESH)?;
        Some(heard.policy.clone())
    }
}

fn read(tenant: &Name, text: &str) -> Result<Arc<Policy>, Failure> {
    tenure_spec::policy(text).map(Arc::new).map_err(|problems| {
        let why = format!("this worker does not understand the policy of `{tenant}`: {problems}");
        Failure::permanent("policy_unreadable", why)
    })
}
