use tenure_core::Name;
use tenure_core::agent::{Agent, Alias, AliasTarget, Artifact, Tenant, Version};

use super::timestamp;
use crate::v1;

/// A tenant, as the wire says it.
pub fn tenant(tenant: &Tenant) -> v1::Tenant {
    v1::Tenant {
        id: tenant.id.to_string(),
        name: tenant.name.to_string(),
        max_running: tenant.max_running,
        policy: tenant.policy.clone(),
        metered: tenant.metered,
        created_at: Some(timestamp(tenant.created_at)),
    }
}

/// An agent, as the wire says it.
pub fn agent(agent: &Agent) -> v1::Agent {
    v1::Agent {
        id: agent.id.to_string(),
        name: agent.name.to_string(),
        latest_version: agent.latest,
        max_running: agent.max_running,
        created_at: Some(timestamp(agent.created_at)),
    }
}

/// A version of the agent with this name, as the wire says it.
pub fn version(agent: &Name, version: &Version) -> v1::Version {
    v1::Version {
        agent: agent.to_string(),
        number: version.number,
        digest: version.digest.to_string(),
        pool: version.pool.to_string(),
        spec: String::from_utf8_lossy(&version.spec).into_owned(),
        created_at: Some(timestamp(version.created_at)),
    }
}

/// An alias on the agent with this name, as the wire says it.
pub fn alias(agent: &Name, alias: Alias) -> v1::Alias {
    let target =
        |target: AliasTarget| v1::AliasTarget { version: target.version, weight: target.weight };
    v1::Alias {
        agent: agent.to_string(),
        name: alias.name.to_string(),
        targets: alias.targets.into_iter().map(target).collect(),
    }
}

/// The targets of an alias from the wire.
pub fn targets(targets: Vec<v1::AliasTarget>) -> Vec<AliasTarget> {
    let target =
        |target: v1::AliasTarget| AliasTarget { version: target.version, weight: target.weight };
    targets.into_iter().map(target).collect()
}

/// An artifact of `size` bytes, as the wire says it.
pub fn artifact(artifact: Artifact, size: u64) -> v1::Artifact {
    v1::Artifact {
        id: artifact.id.to_string(),
        run: artifact.run.to_string(),
        name: artifact.name,
        content_type: artifact.content_type,
        digest: artifact.digest.to_string(),
        size,
        data: artifact.data,
        created_at: Some(timestamp(artifact.created_at)),
    }
}
